"""Tables to read: 848,000 rows of 23 mixed columns, as a file, and as a database of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import psycopg

ROWS = 848_000
TYPES = {
    "int64": "bigint",
    "float64": "double precision",
    "object": "text",
    "bool": "boolean",
    "datetime64[us]": "timestamp",
}


def mixed(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """9 numbers, 3 whole, 2 with gaps, 6 categories of 3 to 5,000 values, a flag, a time, and the target."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({f"n{number}": generator.normal(size=rows) for number in range(9)})
    for number, high in enumerate((10, 1_000, 1_000_000)):
        frame[f"i{number}"] = generator.integers(0, high, rows)
    for number in range(2):
        frame[f"g{number}"] = np.where(generator.random(rows) < 0.2, np.nan, generator.normal(size=rows))
    for number, count in enumerate((3, 10, 50, 200, 1_000, 5_000)):
        names = np.array([f"value {value:05d}" for value in range(count)], dtype=object)
        frame[f"k{number}"] = names[generator.integers(0, count, rows)]
    frame["flag"] = generator.random(rows) < 0.3
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 10**8, rows), unit="s")
    frame["when"] = frame["when"].astype("datetime64[us]")
    frame["y"] = np.where(frame["n0"] + frame["n1"] + generator.normal(size=rows) > 1, "bad", "good")
    return frame


def fill_postgres(url: str, frame: pd.DataFrame) -> None:
    """Makes the table `loans`, with a column `row_number`."""
    columns = ", ".join(f'"{name}" {TYPES[str(kind)]}' for name, kind in frame.dtypes.items())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE loans (row_number bigint, {columns})")
        with connection.cursor().copy("COPY loans FROM STDIN (FORMAT csv)") as copy:
            for start in range(0, len(frame), 50_000):
                part = frame.iloc[start : start + 50_000]
                copy.write(part.to_csv(header=False))
        connection.execute("ANALYZE loans")


def write_parquet(folder: Path, frame: pd.DataFrame) -> Path:
    """The table as one file."""
    path = folder / "loans.parquet"
    frame.to_parquet(path)
    return path
