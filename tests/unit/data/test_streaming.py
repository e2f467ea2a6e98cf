"""Rows in pieces give the same table and the same hash as whole ones, in memory and through the disk."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import DataAccess, SnapshotStore, load, size_bytes
from training.data.canonical import canonical
from training.data.content_hash import content_sha256, file_sha256
from training.data.snapshots import Use
from training.data.sources import SOURCES, file_source
from training.data.streaming import Gathered, Piece, gather, spool
from training.data.streaming.row_groups import ROWS_PER_GROUP
from training.errors import DataError, JobCancelledError
from training.spec import FileSource

ROWS = 40
DAY = dt.date(2024, 5, 31)
COLUMNS: dict[str, list[Any]] = {
    "whole": list(range(ROWS)),
    "gap at the end": [*range(ROWS - 1), None],
    "long": [2**60 + number for number in range(ROWS)],
    "long with a gap": [2**60, *range(ROWS - 2), None],
    "real": [number / 3 for number in range(ROWS)],
    "flag": [None, *[number % 2 == 0 for number in range(ROWS - 1)]],
    "empty": [None] * ROWS,
    "late": [None] * (ROWS - 1) + [5],
    "text": [*["2024-05-31"] * (ROWS - 1), "n/a"],
    "iso": ["2024-05-31T12:00:00"] * ROWS,
    "zoned": ["2024-05-31T12:00:00+02:00"] * (ROWS - 1) + [None],
    "month 13": ["2024-05-31"] * (ROWS - 1) + ["2024-13-01"],
    "price": [decimal.Decimal("1.25")] * ROWS,
    "count": [decimal.Decimal(number) for number in range(ROWS - 1)] + [None],
    "clock": [dt.time(12, 30)] * ROWS,
    "took": [dt.timedelta(milliseconds=number) for number in range(ROWS)],
    "day": [DAY] * ROWS,
}


def tables() -> dict[str, Any]:
    found = {name: pa.table({name: pa.array(values)}) for name, values in COLUMNS.items()}
    found["dictionary"] = pa.table({"k": pa.array(["a", None, *["b"] * (ROWS - 2)]).dictionary_encode()})
    found["unsigned"] = pa.table({"u": pa.array([2**63 + number for number in range(ROWS)], pa.uint64())})
    found["half"] = pa.table({"h": pa.array(np.arange(ROWS), pa.float16())})
    found["view"] = pa.table({"v": pa.array(["a", *["b"] * (ROWS - 1)], pa.string_view())})
    found["moments"] = pa.table({"m": pa.array([0, None] * (ROWS // 2), pa.timestamp("ns", "Europe/Berlin"))})
    found["together"] = pa.table(COLUMNS)
    return found


def in_pieces(table: Any, folder: Path, sizes: list[int], *, on_disk: bool) -> Gathered:
    starts = np.cumsum([0, *sizes])
    pieces = [Piece("", table.slice(start, size)) for start, size in zip(starts, sizes, strict=False)]
    pieces.append(Piece("", table.slice(int(starts[-1]))))
    limit, spool.SPILL_BYTES = spool.SPILL_BYTES, -1 if on_disk else 2**40
    try:
        return gather(pieces, folder, "data.source")
    finally:
        spool.SPILL_BYTES = limit


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("name", sorted(tables()))
def test_pieces_are_the_whole(name: str, on_disk: bool, tmp_path: Path) -> None:
    table = tables()[name]
    wanted = canonical(table, "data.source")
    for sizes in ([], [1], [ROWS - 1], [3, 0, 17]):
        folder = tmp_path / "-".join(map(str, sizes))
        folder.mkdir(exist_ok=True)
        found = in_pieces(table, folder, sizes, on_disk=on_disk)
        assert (found.file is not None) == on_disk
        rows = found.table if found.file is None else pq.read_table(found.file)
        assert rows.to_pylist() == wanted.to_pylist()
        assert content_sha256(rows) == content_sha256(wanted)
        if found.file is not None:
            assert file_sha256(pq.ParquetFile(found.file)) == content_sha256(wanted)


@settings(max_examples=60)
@given(data=st.data())
def test_pieces_of_any_size_are_the_whole(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    values = st.one_of(
        st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=12),
        st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=12),
        st.lists(st.one_of(st.none(), st.sampled_from(["2024-01-01", "2024-01-01T10:00:00", "x", ""])), min_size=1),
        st.lists(st.one_of(st.none(), st.decimals(-1000, 1000, places=2)), min_size=1, max_size=12),
    )
    table = pa.table({"a": pa.array(data.draw(values))})
    sizes = data.draw(st.lists(st.integers(0, 5), max_size=4))
    wanted = canonical(table, "data.source")
    found = in_pieces(table, tmp_path_factory.mktemp("p"), sizes, on_disk=data.draw(st.booleans()))
    rows = found.table if found.file is None else pq.read_table(found.file)
    assert content_sha256(rows) == content_sha256(wanted)


def test_a_source_that_begins_anew_leaves_nothing_of_its_first_try(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3]})
    pieces = [Piece("", pa.table({"b": ["x"]})), Piece("", None), Piece("", table)]
    found = gather(pieces, tmp_path, "data.source")
    assert found.table.to_pylist() == table.to_pylist()


def test_nested_columns_and_mixed_zones_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'n' holds list"):
        gather([Piece("", pa.table({"n": [[1]]}))], tmp_path, "data.source")
    pieces = [Piece("", pa.table({"t": ["2024-01-01T00:00:00Z"]})), Piece("", pa.table({"t": ["2024-01-01T00:00:00"]}))]
    with pytest.raises(DataError, match="mixes times with and without a time zone"):
        gather(pieces, tmp_path, "data.source")


def test_row_groups_do_not_follow_the_pieces(tmp_path: Path) -> None:
    size = ROWS_PER_GROUP // 3
    table = pa.table({"a": np.arange(7 * size)})
    found = in_pieces(table, tmp_path, [size] * 6, on_disk=True)
    groups = pq.ParquetFile(found.file).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [
        ROWS_PER_GROUP, ROWS_PER_GROUP, 7 * size - 2 * ROWS_PER_GROUP,
    ]  # fmt: skip


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on files are read in pieces, through the disk."""

    def stream() -> None:
        monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
        monkeypatch.setattr(spool, "SPILL_BYTES", -1)

    return stream


def folder_of(tmp_path: Path) -> DataAccess:
    """Two years of a table; whole numbers have a gap in one of them, and a column is empty in the other."""
    for year, gap in ((2023, None), (2024, 7)):
        part = tmp_path / f"rows/year={year}"
        part.mkdir(parents=True)
        frame = pd.DataFrame({"n": range(50), "gap": [gap, *range(49)], "k": ["a", "b"] * 25, "y": [0, 1] * 25})
        frame["hole"] = None if gap is None else 1.5
        frame.to_parquet(part / "part-0.parquet", index=False, row_group_size=20)
    return DataAccess((str(tmp_path),), tmp_path, store=str(tmp_path / "store"))


@pytest.mark.parametrize("conditions", [[], [("n", ">=", 30)], [("year", "==", 2024), ("k", "==", "a")]])
@pytest.mark.parametrize("columns", [None, ["n", "y", "year"]])
def test_a_streamed_folder_is_the_folder(tmp_path: Path, streamed: Any, conditions: Any, columns: Any) -> None:
    access = folder_of(tmp_path)
    source = FileSource(uri="rows", filter=conditions)
    whole = load(source, access, columns=columns)
    streamed()
    told: list[float | None] = []
    again = load(source, access, columns=columns, told=lambda rows, share: told.append(share))
    pd.testing.assert_frame_equal(again.frame, whole.frame)
    assert again.sha256 == whole.sha256
    assert told == sorted(told)
    assert not again.sampled_from


def test_a_streamed_snapshot_is_the_snapshot(tmp_path: Path, streamed: Any) -> None:
    access = folder_of(tmp_path)
    store = SnapshotStore(str(tmp_path / "store"))

    def keep(rows: Any, sha256: str, uri: str) -> str:
        return store.keep(rows, sha256, Use("job", "model", {}, uri, 100, 6))

    streamed()
    first = load(FileSource(uri="rows"), access, keep=keep)
    assert content_sha256(pq.read_table(first.snapshot)) == first.sha256
    assert not list(tmp_path.rglob("*.partial"))


def test_more_than_memory_holds_is_sampled(tmp_path: Path, streamed: Any) -> None:
    access = folder_of(tmp_path)
    whole = load(FileSource(uri="rows"), access).frame
    streamed()
    found = load(FileSource(uri="rows"), access, frame_bytes=100)
    assert found.sampled_from == 100
    pd.testing.assert_frame_equal(found.frame, whole)  # fewer than the sample has


def test_a_cancelled_job_stops_reading(tmp_path: Path, streamed: Any) -> None:
    access = folder_of(tmp_path)
    streamed()

    def cancel(rows: int, share: float | None) -> None:
        raise JobCancelledError("stop")

    with pytest.raises(JobCancelledError):
        load(FileSource(uri="rows"), access, told=cancel)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [("k", [1, 2], "column 'k' holds"), ("n", [0.5, 2.0**60], "fine"), ("other", [1, 2], "has no column 'other'")],
)
def test_files_that_do_not_fit_together_are_named(
    tmp_path: Path, streamed: Any, name: str, values: list[Any], words: str
) -> None:
    access = folder_of(tmp_path)
    frame = pd.read_parquet(tmp_path / "rows/year=2024/part-0.parquet").iloc[:2].assign(**{name: values})
    frame.to_parquet(tmp_path / "rows/year=2024/part-1.parquet", index=False)
    results = []
    for _ in range(2):
        try:
            results.append(load(FileSource(uri="rows"), access).sha256)
        except DataError as error:
            results.append(error.message.partition("; known:")[0])
        streamed()
    assert results[0] == results[1]  # read whole, then in pieces
    assert words == "fine" or words in results[0]


@pytest.mark.slow
def test_a_cut_off_file_and_a_bomb_are_named(tmp_path: Path, streamed: Any) -> None:
    access = folder_of(tmp_path)
    streamed()
    part = tmp_path / "rows/year=2024/part-0.parquet"
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="damaged or cut off") as caught:
        load(FileSource(uri="rows"), access)
    assert caught.value.problems[0].value == "rows: part-0.parquet"
    many = pa.table({"a": pa.concat_arrays([pa.array(np.zeros(2**20, np.int64))])})
    with pq.ParquetWriter(part, many.schema) as writer:
        for _ in range(300):
            writer.write_table(many, row_group_size=2**20)
    with pytest.raises(DataError, match="expand to far more"):
        load(FileSource(uri="rows"), access)


def test_the_spool_keeps_what_it_was_given(tmp_path: Path) -> None:
    kept = spool.Spool(tmp_path)
    for number in range(3):
        kept.put(pa.table({"a": [number] if number < 2 else ["x"]}))
    assert [one.column("a").to_pylist() for one in kept.pieces()] == [[0], [1], ["x"]]


def test_a_compressed_file_counts_as_what_it_expands_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"a": range(2000), "y": [0, 1] * 1000}).to_csv(tmp_path / "rows.csv.gz", index=False)
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 2 * (tmp_path / "rows.csv.gz").stat().st_size)
    access, source = DataAccess((str(tmp_path),), tmp_path), FileSource(uri="rows.csv.gz")
    pieces = SOURCES["file"].pieces(source, access, "data.source")
    assert pieces is not None
    assert sum(piece.rows.num_rows for piece in pieces) == 2000


def test_a_compressed_file_tells_its_size_unless_its_end_is_missing(tmp_path: Path) -> None:
    content = b"a,y\n" + b"1,0\n" * 100_000
    access, source = DataAccess((str(tmp_path),), tmp_path), FileSource(uri="rows.csv.gz")
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(content, mtime=0))
    assert 100 * path.stat().st_size < size_bytes(source, access) == len(content)
    path.write_bytes(path.read_bytes()[:-8] + b"\xff" * 4)
    assert size_bytes(source, access) < len(content)  # small enough to be looked at, and refused, before the answer
    path.write_bytes(b"\x1f")
    assert size_bytes(source, access) == 8
