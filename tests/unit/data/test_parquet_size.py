"""A small Parquet file of long texts, each stored once, is a large table: memory must not learn that the hard way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data import DataAccess, load, loading, size_bytes
from training.data.formats import parquet_format, parquet_size
from training.data.formats.parquet_size import decoded_size
from training.data.sources import SOURCES, file_source
from training.data.streaming import row_groups, spool
from training.spec import FileSource

ROWS, TEXT_BYTES = 400, 10_000
DECODED_BYTES = ROWS * TEXT_BYTES
PIECE_BYTES = 200_000


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataAccess:
    texts = [letter * TEXT_BYTES for letter in "abcd"] * (ROWS // 4)
    table = pa.table({"t": texts, "n": range(ROWS), "y": ["no", "yes"] * (ROWS // 2)})
    pq.write_table(table, tmp_path / "small.parquet", row_group_size=ROWS // 2)
    assert (tmp_path / "small.parquet").stat().st_size < DECODED_BYTES / 100
    monkeypatch.setattr(parquet_size, "SMALL_BYTES", 0)
    return DataAccess((str(tmp_path),), tmp_path)


def test_its_size_is_that_in_memory(access: DataAccess) -> None:
    # what is checked before the caller is answered
    assert DECODED_BYTES < size_bytes(FileSource(uri="small.parquet"), access) < 1.1 * DECODED_BYTES


@pytest.mark.parametrize("conditions", [[], [("n", ">=", 100)]])
@pytest.mark.parametrize("group_bytes", [0, 2**30], ids=["groups too large to scan", "groups scanned"])
def test_it_is_read_in_small_pieces(
    access: DataAccess, conditions: list[Any], group_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FileSource(uri="small.parquet", filter=conditions)
    whole = load(source, access)
    reader = SOURCES["file"]
    assert reader.pieces(source, access, "data.source") is None
    monkeypatch.setattr(file_source, "HELD_BYTES", DECODED_BYTES // 2)
    monkeypatch.setattr(parquet_format, "PIECE_BYTES", PIECE_BYTES)
    monkeypatch.setattr(parquet_format, "GROUP_BYTES", group_bytes)
    monkeypatch.setattr(spool, "SPILL_BYTES", 0)
    monkeypatch.setattr(loading, "LEAST_SAMPLE_ROWS", 1)
    monkeypatch.setattr(row_groups, "BYTES_PER_GROUP", PIECE_BYTES)
    pieces = reader.pieces(source, access, "data.source")
    assert pieces is not None
    sizes = [piece.rows.nbytes for piece in pieces if piece.rows is not None]
    scanned = bool(conditions and group_bytes)  # a scan decodes a row group at once
    if not scanned:
        assert max(sizes) <= 1.1 * PIECE_BYTES
    kept: list[int] = []

    def keep(rows: Any, sha256: str, uri: str) -> str:
        found = pq.read_metadata(rows)
        kept.extend(found.row_group(number).num_rows for number in range(found.num_row_groups))
        return sha256 + uri

    parts = load(source, access, keep=keep, frame_bytes=DECODED_BYTES // 4)
    assert parts.sha256 == whole.sha256
    if not scanned:
        assert max(kept) * TEXT_BYTES <= 2.2 * PIECE_BYTES
    # memory holds some of the rows only, which the job says before it fits
    assert 0 < len(parts.frame) < len(whole.frame) == parts.sampled_from
    assert parts.frame["t"].str.len().sum() <= DECODED_BYTES // 4


def test_plain_columns_need_no_look(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(1000), "b": np.arange(1000.0), "c": [f"text {n}" for n in range(1000)]})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False)
    with pa.OSFile(str(tmp_path / "t.parquet")) as source:
        found = decoded_size(source, pq.read_metadata(tmp_path / "t.parquet"))
    assert found.rows == 1000
    assert 0.9 * table.nbytes < found.nbytes < 1.1 * table.nbytes
    assert found.rows_within(found.nbytes // 4) == pytest.approx(250, abs=1)
