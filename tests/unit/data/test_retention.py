"""Snapshots leave when nobody needs them, and persons leave snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from training.data import DataAccess, SnapshotStore, batches, load, loading, snapshots
from training.data.content_hash import content_sha256
from training.data.formats import parquet_format
from training.data.retention import erase, prune
from training.data.snapshots import Use
from training.data.sources import file_source
from training.data.streaming import row_groups, spool
from training.errors import DataError, NotFoundError
from training.spec import InlineSource, SnapshotSource

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path))


def keep(
    store: SnapshotStore, rows: list[dict[str, Any]], job: str = "job_a", time: str = "2026-01-01T00:00:00+00:00"
) -> str:
    def kept(table: Any, sha256: str, uri: str) -> str:
        return store.keep(table, sha256, Use(job, "model", {}, uri, table.num_rows, table.num_columns, time))

    return load(InlineSource(rows=rows), DataAccess((), Path()), keep=kept).sha256


def customers(number: int = 3) -> list[dict[str, Any]]:
    return [{"customer": row % number, "x": row * 1.5, "y": "ab"[row % 2]} for row in range(12)]


def frame_of(store_folder: Path, sha256: str) -> Any:
    return load(SnapshotSource(sha256=sha256), DataAccess((), Path(), store=str(store_folder))).frame


def test_old_ones_go_unless_a_version_needs_them_or_a_job_used_them_lately(store: SnapshotStore) -> None:
    gone, needed, used = keep(store, customers(2)), keep(store, customers(3)), keep(store, customers(4))
    keep(store, customers(4), "job_b", "2026-05-31T00:00:00+00:00")
    rule: dict[str, Any] = {"older_than": timedelta(days=90), "needed": {needed}, "now": NOW}

    assert prune(store, **rule, dry_run=True).removed == (gone,)
    assert set(store.hashes()) == {gone, needed, used}
    found = prune(store, **rule)
    assert (found.removed, found.needed) == ((gone,), (needed,))
    assert set(store.hashes()) == {needed, used}
    with pytest.raises(NotFoundError, match="no snapshot"):
        store.file(gone)


def test_a_persons_rows_leave_every_snapshot(store: SnapshotStore, tmp_path: Path) -> None:
    one, other = keep(store, customers(3)), keep(store, customers(4))
    without = keep(store, [{"x": row, "y": row % 2} for row in range(10)])

    assert erase(store, "customer", {"1", "77"}, by="dpo", reason="request 17") == {one: 4, other: 3}
    assert sorted(frame_of(tmp_path, one)["customer"].unique()) == [0, 2]
    assert len(frame_of(tmp_path, other)) == 9
    assert len(frame_of(tmp_path, without)) == 10
    assert store.erasures(without) == []

    record = store.erasures(one)[0]
    assert (record.rows, record.by, record.reason, record.column) == (4, "dpo", "request 17", "customer")
    # whom it was about is what is to be forgotten
    assert "77" not in (tmp_path / "_snapshots" / one / "erasures.json").read_text()
    assert erase(store, "customer", {"1"}, by="dpo", reason="again") == {}
    assert erase(store, "customer", {"2"}, by="dpo", reason="request 18")[one] == 4
    assert len(frame_of(tmp_path, one)) == 4
    assert [entry.reason for entry in store.erasures(one)] == ["request 17", "request 18"]


def test_a_large_snapshot_is_erased_and_read_piece_by_piece(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 100_000
    monkeypatch.setattr(row_groups, "ROWS_PER_GROUP", 8192)
    monkeypatch.setattr(snapshots, "BATCH_ROWS", 4096)
    monkeypatch.setattr(parquet_format, "ROWS_PER_PIECE", 4096)
    monkeypatch.setattr(loading, "BATCH_ROWS", 4096)
    columns = {f"x{number}": np.random.default_rng(number).normal(size=rows) for number in range(20)}
    table = pa.table({"customer": np.arange(rows) % 1000, "when": ["2024-05-31"] * (rows - 1) + ["unknown"], **columns})
    sha256 = content_sha256(table)
    store.keep(table, sha256, Use("job_a", "model", {}, "", rows, 21))
    # the rest would be times if anybody asked again what its texts are
    wanted, size = table.filter(pa.compute.not_equal(table["customer"], 999)), table.nbytes
    del table
    whole, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    monkeypatch.setattr(file_source, "STREAMED_BYTES", 0)
    monkeypatch.setattr(spool, "SPILL_BYTES", 0)
    pa.set_memory_pool(pool)
    try:
        assert erase(store, "customer", {"999"}, by="dpo", reason="request 1") == {sha256: rows // 1000}
        access = DataAccess((), Path(), store=str(tmp_path))
        left = sum(piece.num_rows for piece in batches(SnapshotSource(sha256=sha256), access))
    finally:
        pa.set_memory_pool(whole)
    assert left == rows - rows // 1000
    assert pool.max_memory() < size / 3
    assert store.erasures(sha256)[0].sha256 == content_sha256(wanted)


def test_a_cut_off_snapshot_is_refused(store: SnapshotStore, tmp_path: Path) -> None:
    sha256 = keep(store, customers())
    path = Path(store.file(sha256).path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not what it was"):
        frame_of(tmp_path, sha256)
