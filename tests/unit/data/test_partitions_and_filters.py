"""Folders of Parquet, conditions on rows, only the columns that are asked for; and files that are traps."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data import DataAccess, files, load
from training.data.formats import parquet_format
from training.errors import DataError, SpecError
from training.spec import FileSource

FRAME = pd.DataFrame({
    "n": np.arange(120),
    "when": pd.date_range("2024-01-01", periods=120),
    "k": np.array(["a", "b", "c"])[np.arange(120) % 3],
    "gap": np.where(np.arange(120) % 5 == 0, np.nan, 1.5),
})  # fmt: skip


@pytest.fixture
def partitioned(folder: Path) -> str:
    """Rows of three years, the third in two months."""
    for year, month, rows in [(2022, 1, slice(0, 40)), (2023, 1, slice(40, 80)), (2024, 1, slice(80, 100)),
                              (2024, 12, slice(100, 120))]:  # fmt: skip
        part = folder / "loans" / f"year={year}" / f"month={month}"
        part.mkdir(parents=True)
        FRAME.iloc[rows].to_parquet(part / "part-0.parquet", index=False)
    (folder / "loans" / "_SUCCESS").touch()
    return "loans"


def test_names_of_folders_become_columns(partitioned: str, access: DataAccess) -> None:
    frame = load(FileSource(uri=partitioned), access).frame
    assert list(frame.columns) == [*FRAME.columns, "year", "month"]
    assert frame["n"].tolist() == list(range(120))
    assert frame.groupby("year", sort=True)["n"].count().to_dict() == {2022: 40, 2023: 40, 2024: 40}
    assert frame["month"].dtype == "int64"


def test_a_folder_that_cannot_match_is_not_read(partitioned: str, folder: Path, access: DataAccess) -> None:
    (folder / "loans" / "year=2022" / "month=1" / "part-0.parquet").write_bytes(b"PAR1 nonsense")
    source = FileSource(uri=partitioned, filter=[("year", ">=", 2023), ("month", "in", [12, 1])])
    assert load(source, access).frame["n"].tolist() == list(range(40, 120))


def test_folders_of_text_and_of_nothing(folder: Path, access: DataAccess) -> None:
    for name in ("eu%20west", "007", "__HIVE_DEFAULT_PARTITION__"):
        (folder / "t" / f"region={name}").mkdir(parents=True)
        FRAME.head(2).to_parquet(folder / "t" / f"region={name}" / "a.parquet")
    frame = load(FileSource(uri="t"), access).frame
    assert frame["region"].tolist() == ["007", "007", None, None, "eu west", "eu west"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("n", "<", 3), [0, 1, 2]),
        (("n", ">=", 117.5), [118, 119]),
        (("k", "==", "b"), list(range(1, 120, 3))),
        (("k", "not in", ["a", "b"]), list(range(2, 120, 3))),
        (("when", ">", "2024-04-28"), [119]),
        (("gap", "==", None), list(range(0, 120, 5))),
        (("n", "in", [5, 7]), [5, 7]),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_conditions(condition: Any, expected: list[int], suffix: str, folder: Path, access: DataAccess) -> None:
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pandas(FRAME, preserve_index=False), folder / "a.parquet", row_group_size=10)
    elif suffix == "csv":
        FRAME.to_csv(folder / "a.csv", index=False)
    else:
        FRAME.assign(when=FRAME["when"].dt.strftime("%Y-%m-%d")).to_json(
            folder / "a.jsonl", orient="records", lines=True
        )
    frame = load(FileSource(uri=f"a.{suffix}", filter=[condition]), access).frame
    assert frame["n"].tolist() == expected


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (("whenn", "<", 3), "no such column; nearest: when"),
        (("n", "<", "three"), "cannot be compared with 'three'"),
        (("when", ">", "yesterday"), "cannot be compared with 'yesterday'"),
        (("n", "in", 3), "a list of values"),
        (("n", "==", [3]), "one value"),
        (("n", "<", None), "null"),
    ],
)
def test_a_condition_that_cannot_work(condition: Any, words: str, folder: Path, access: DataAccess) -> None:
    FRAME.to_parquet(folder / "a.parquet")
    with pytest.raises(SpecError) as caught:
        load(FileSource(uri="a.parquet", filter=[condition]), access)
    assert words in caught.value.message
    assert caught.value.problems[0].field == "data.source.filter"


def test_nothing_meets_the_filter(partitioned: str, access: DataAccess) -> None:
    for condition in [("n", ">", 1000), ("year", "==", 1999)]:
        with pytest.raises(DataError, match="no row meets the filter"):
            load(FileSource(uri=partitioned, filter=[condition]), access)


def test_only_the_columns_that_are_asked_for(partitioned: str, access: DataAccess) -> None:
    asked = load(FileSource(uri=partitioned), access, columns=["k", "n", "year"]).frame
    assert list(asked.columns) == ["n", "k", "year"]
    # where one is not there, all are read, so that the nearest name can be told
    assert "when" in load(FileSource(uri=partitioned), access, columns=["k", "nn"]).frame


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(
    folder: Path, access: DataAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MIN_EXPANDED_BYTES", 2**20)
    (folder / "bomb.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 2**21, compresslevel=9))
    with pytest.raises(DataError, match="expand to far more than a table has"):
        load(FileSource(uri="bomb.csv.gz"), access)


def test_a_parquet_bomb_is_refused_by_its_footer(
    folder: Path, access: DataAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_format, "MIN_EXPANDED_BYTES", 2**20)
    zeros = pa.table({f"c{number}": pa.array(np.zeros(1_000_000, np.int8)) for number in range(3)})
    pq.write_table(zeros, folder / "bomb.parquet", row_group_size=1_000_000)
    with pytest.raises(DataError, match="expand to far more than a table has"):
        load(FileSource(uri="bomb.parquet"), access)


@pytest.mark.parametrize("left", [10, 0.5, -4])
def test_a_truncated_parquet_file_is_named(left: float, folder: Path, access: DataAccess) -> None:
    path = folder / "a.parquet"
    FRAME.to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content)) if isinstance(left, float) else left])
    with pytest.raises(DataError, match="damaged or cut off"):
        load(FileSource(uri="a.parquet"), access)


def test_arrow_types_beyond_numpy(folder: Path, access: DataAccess) -> None:
    import decimal

    table = pa.table({
        "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(10, 2)),
        "account": pa.array([decimal.Decimal(10**25), decimal.Decimal(10**25 + 1)], pa.decimal128(30, 0)),
        "word": pa.array(["x", "y"]).dictionary_encode(),
        "long": pa.array([2**53 + 1, None], pa.int64()),
    })  # fmt: skip
    pq.write_table(table, folder / "a.parquet")
    frame = load(FileSource(uri="a.parquet"), access).frame
    assert frame["price"].tolist()[0] == 1.25
    assert frame["account"].tolist() == [str(10**25), str(10**25 + 1)]
    assert frame["word"].tolist() == ["x", "y"]
    assert frame["long"].tolist() == [str(2**53 + 1), None]
