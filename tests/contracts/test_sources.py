"""What every way of giving rows must do: the same rows, however they come, are the same table."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data import DataAccess, Dataset, batches, load, loading, size_bytes
from training.data.formats import FORMATS, csv_streaming, jsonl_format, parquet_format
from training.data.snapshots import SnapshotStore, Use
from training.data.sources import SOURCES, file_source
from training.data.streaming import spool
from training.data.uploads import UploadStore
from training.errors import AccessError, DataError
from training.spec import FileSource, InlineSource, SnapshotSource, Source, UploadSource

Rows = list[dict[str, Any]]
Write = Callable[[Rows, Path], Source]


def as_csv(rows: Rows, folder: Path) -> Source:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return FileSource(uri="rows.csv")


def as_parquet(rows: Rows, folder: Path) -> Source:
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    return FileSource(uri="rows.parquet")


def as_jsonl(rows: Rows, folder: Path) -> Source:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return FileSource(uri="rows.jsonl")


def as_inline(rows: Rows, folder: Path) -> Source:
    return InlineSource(rows=rows)


def as_snapshot(rows: Rows, folder: Path) -> Source:
    def keep(table: Any, sha256: str, uri: str) -> str:
        use = Use("job_x", "model", {}, uri, table.num_rows, table.num_columns)
        return SnapshotStore(str(folder / "store")).keep(table, sha256, use)

    return SnapshotSource(sha256=load(InlineSource(rows=rows), DataAccess((), folder), keep=keep).sha256)


def as_upload(rows: Rows, folder: Path) -> Source:
    as_parquet(rows, folder)
    kept = UploadStore(str(folder / "store")).keep(folder / "rows.parquet", "rows.parquet", "somebody")
    return UploadSource(id=kept.id)


WRITERS: dict[str, Write] = {
    "csv": as_csv, "parquet": as_parquet, "jsonl": as_jsonl, "inline": as_inline, "snapshot": as_snapshot,
    "upload": as_upload,
}  # fmt: skip

NAMES = ["whole", "real", "flag", "when", "größe", "gap", "hole", "id"]
MIXED_ROWS: Rows = [
    dict(zip(NAMES, values, strict=True))
    for values in [
        (1, 1.5, True, "2024-05-31", "groß, x", 3, None, 2**60),
        (-2, -0.1, False, "2024-06-01", 'a "x"', None, None, 5),
        (3, 1e-9, True, "1066-10-14", None, 5, None, 2**60 + 1),
    ]
]


@pytest.fixture(params=sorted(WRITERS))
def write(request: pytest.FixtureRequest) -> Write:
    return WRITERS[request.param]


needs_json_values = pytest.mark.parametrize("write", [as_parquet, as_jsonl, as_inline])
"""CSV has no nested values."""


@pytest.fixture
def access(tmp_path: Path) -> DataAccess:
    return DataAccess((str(tmp_path),), tmp_path, store=str(tmp_path / "store"))


def test_every_source_and_format_is_covered():
    # a database and a feature store have types and limits of their own: tests/integration/data
    # a pool joins labels to rows of another source: tests/unit/data/test_pool_source.py
    assert set(WRITERS) == set(FORMATS) | (set(SOURCES) - {"file", "sql", "pool", "feast"})


def test_types_and_values(write, tmp_path, access):
    data = load(write(MIXED_ROWS, tmp_path), access)
    frame = data.frame
    assert list(frame.columns) == list(MIXED_ROWS[0])
    assert isinstance(frame.index, pd.RangeIndex)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "whole": "int64", "real": "float64", "flag": "bool", "when": "datetime64[us]", "größe": "object",
        "gap": "float64", "hole": "float64", "id": "int64",
    }  # fmt: skip
    assert frame["id"].tolist() == [2**60, 5, 2**60 + 1]
    assert frame["größe"].tolist() == ["groß, x", 'a "x"', None]
    assert frame["when"].dt.year.tolist() == [2024, 2024, 1066]
    assert frame["gap"].isna().tolist() == [False, True, False]


def test_pieces_are_the_same_rows_in_the_same_order(write, tmp_path, access, monkeypatch):
    for module in (csv_streaming, jsonl_format):
        monkeypatch.setattr(module, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(parquet_format, "ROWS_PER_PIECE", 10)
    monkeypatch.setattr(loading, "BATCH_ROWS", 10)
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
    monkeypatch.setattr(spool, "SPILL_BYTES", 2000)
    columns = [name for name in NAMES if name != "hole"]
    rows = [{**row, "whole": number} for number, row in enumerate(MIXED_ROWS * 50)]
    source = write(rows, tmp_path)
    pieces = list(batches(source, access, columns=columns))
    assert len(pieces) >= 3
    pieces = [piece.select(columns) for piece in pieces]
    together = pa.concat_tables(pieces).to_pandas(coerce_temporal_nanoseconds=False)
    pd.testing.assert_frame_equal(together, load(source, access).frame[columns])


def test_the_same_rows_are_the_same_table_with_the_same_hash(tmp_path, access):
    loaded = {name: load(write(MIXED_ROWS, tmp_path), access) for name, write in WRITERS.items()}
    first = loaded["csv"]
    for data in loaded.values():
        pd.testing.assert_frame_equal(data.frame, first.frame)
        assert data.sha256 == first.sha256


def test_a_change_of_anything_changes_the_hash(write, tmp_path, access):
    changed = [json.loads(json.dumps(MIXED_ROWS)) for _ in range(5)]
    changed[0][0]["whole"] = 7
    changed[1][1]["größe"] = "x"
    changed[2][1]["gap"] = 4
    changed[3] = [{("ganz" if key == "whole" else key): value for key, value in row.items()} for row in MIXED_ROWS]
    changed[4] = MIXED_ROWS[::-1]
    hashes = {load(write(rows, tmp_path), access).sha256 for rows in [MIXED_ROWS, *changed]}
    assert len(hashes) == 6


def test_reading_twice_gives_the_same(write, tmp_path, access):
    source = write(MIXED_ROWS, tmp_path)
    assert load(source, access).sha256 == load(source, access).sha256


def test_long_whole_numbers_keep_their_digits(write, tmp_path, access):
    rows = [{"id": 2**63 + 3, "gap": 2**53 + 1}, {"id": 2**63 + 5, "gap": None}]
    if write in (as_parquet, as_upload):
        table = pa.table(
            {"id": pa.array([row["id"] for row in rows], pa.uint64()), "gap": [row["gap"] for row in rows]}
        )
        pq.write_table(table, tmp_path / "rows.parquet")
        source: Source = FileSource(uri="rows.parquet")
        if write is as_upload:
            kept = UploadStore(str(tmp_path / "store")).keep(tmp_path / "rows.parquet", "rows.parquet", "somebody")
            source = UploadSource(id=kept.id)
    else:
        source = write(rows, tmp_path)
    frame = load(source, access).frame
    assert frame["id"].tolist() == [str(2**63 + 3), str(2**63 + 5)]
    assert frame["gap"].tolist() == [str(2**53 + 1), None]


def test_times_with_zones_become_utc(write, tmp_path, access):
    rows = [{"when": "2024-05-31T12:00:00+02:00", "n": 1}, {"when": "2024-05-31T12:00:00Z", "n": 2}]
    frame = load(write(rows, tmp_path), access).frame
    assert frame["when"].tolist() == [pd.Timestamp("2024-05-31T10:00:00"), pd.Timestamp("2024-05-31T12:00:00")]


def test_times_with_and_without_zones_do_not_mix(write, tmp_path, access):
    rows = [{"when": "2024-05-31T12:00:00", "n": 1}, {"when": "2024-05-31T12:00:00Z", "n": 2}]
    with pytest.raises(DataError, match="'when' mixes times with and without a time zone"):
        load(write(rows, tmp_path), access)


def test_booleans_with_gaps(write, tmp_path, access):
    frame = load(write([{"flag": True, "n": 1}, {"flag": None, "n": 2}], tmp_path), access).frame
    assert frame["flag"].tolist() == [True, None]


@needs_json_values
def test_nested_values_are_refused(write, tmp_path, access):
    with pytest.raises(DataError) as caught:
        load(write([{"a": 1, "place": {"x": 1}}, {"a": 2, "place": {"x": 2}}], tmp_path), access)
    assert "'place'" in caught.value.message
    assert caught.value.hint


@pytest.mark.slow
def test_ten_thousand_columns(write, tmp_path, access):
    rows = [{f"c{i}": i * row for i in range(10_000)} for row in range(3)]
    assert load(write(rows, tmp_path), access).frame.shape == (3, 10_000)


def test_more_columns_than_anyone_means(tmp_path, access):
    with pytest.raises(DataError, match="columns"):
        load(InlineSource(rows=[{f"c{i}": i for i in range(20_001)}]), access)


def test_size_is_known_without_reading(write, tmp_path, access):
    source = write(MIXED_ROWS, tmp_path)
    size = size_bytes(source, access)
    assert size > 0
    if isinstance(source, FileSource):
        assert size == (tmp_path / source.uri).stat().st_size
        with pytest.raises(AccessError):
            size_bytes(FileSource(uri="/etc/passwd"), access)


def test_the_uri_says_where_the_rows_come_from(write, tmp_path, access):
    source = write(MIXED_ROWS, tmp_path)
    if isinstance(source, SnapshotSource):
        expected = f"snapshot:{source.sha256}"
    elif isinstance(source, UploadSource):
        expected = f"upload:{source.id}"
    else:
        expected = source.uri if isinstance(source, FileSource) else "inline (3 rows)"
    assert load(source, access).uri == expected


# what every format can hold: CSV has no empty text and no text that reads as something else
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=8).map(
    lambda text: "x" + text
)
floats = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value if value % 1 else 0.5)
COLUMNS = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": floats | st.none(),
    "wörter": texts | st.none(),
    "flag": st.booleans() | st.none(),
    "day": st.dates().map(str),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=12))
def test_round_trips(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("round")
    access = DataAccess((str(folder),), folder, store=str(folder / "store"))
    loaded: dict[str, Dataset] = {name: load(write(rows, folder), access) for name, write in WRITERS.items()}
    for name, data in loaded.items():
        pd.testing.assert_frame_equal(data.frame, loaded["inline"].frame, obj=name)
        assert data.sha256 == loaded["inline"].sha256, name
    frame = loaded["inline"].frame
    assert frame["whole"].tolist() == [row["whole"] for row in rows]
    for row, value in zip(rows, frame["real"], strict=True):
        assert math.isnan(value) if row["real"] is None else value == row["real"]
    assert [None if pd.isna(value) else value for value in frame["wörter"]] == [row["wörter"] for row in rows]
    assert np.array_equal(frame["day"].dt.strftime("%Y-%m-%d").str[-5:], [row["day"][-5:] for row in rows])
