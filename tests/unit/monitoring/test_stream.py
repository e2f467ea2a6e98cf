"""The stored stream: each prediction once, whatever is sent again, late, twice or in conflict; nothing half-stored."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from watched import BINARY, NDJSON, NOW, START, Feed, lines, people, receiver, row

from training.errors import UnavailableError
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe


@pytest.fixture
def store(tmp_path: Path) -> StreamStore:
    return StreamStore(str(tmp_path), "people")


def keep(store: StreamStore, *rows: dict, received=NOW) -> bool:
    return store.append("predictions", receiver().predictions(lines(*rows), NDJSON).table, received).repeated


def settle(store: StreamStore, *rows: dict, received=NOW) -> None:
    store.append("outcomes", receiver().outcomes(lines(*rows), NDJSON).table, received)


def test_a_batch_that_is_sent_again_writes_nothing(store: StreamStore) -> None:
    assert not keep(store, row(0), row(1))
    before = store.fingerprint()
    assert keep(store, row(0), row(1), received=NOW + timedelta(hours=1))
    assert store.fingerprint() == before
    assert len(observe(store, BINARY, "1")) == 2


def test_of_rows_with_one_id_the_first_received_counts(store: StreamStore) -> None:
    keep(store, row(0, scores=0.9), row(1), received=NOW)
    keep(store, row(0, scores=0.1), row(2), received=NOW - timedelta(hours=1))
    keep(store, row(1), row(3), received=NOW + timedelta(hours=1))
    observed = observe(store, BINARY, "1")
    assert len(observed) == 4
    rows = observed.rows(np.arange(4))
    assert dict(zip(rows.table["id"].to_pylist(), rows.scores[:, 0], strict=True))["r0"] == 0.1
    assert (observed.inflow.duplicates, observed.inflow.conflicts) == (2, 1)
    assert observed.inflow.conflict_ids == ("r0",)


def test_outcomes_may_come_first_for_unknown_ids_and_twice(store: StreamStore) -> None:
    settle(store, {"id": "r0", "actual": "yes"}, {"id": "nobody", "actual": "no"})
    assert observe(store, BINARY, "1").inflow.unmatched == 2
    keep(store, row(0), row(1))
    settle(store, {"id": "r0", "actual": "no"}, received=NOW + timedelta(hours=1))
    observed = observe(store, BINARY, "1")
    assert observed.actual[0] == 1.0
    facts = observed.inflow
    assert (facts.matched, facts.unmatched, facts.outcome_conflicts) == (1, 1, 1)


def test_late_rows_and_other_versions_are_counted(store: StreamStore) -> None:
    keep(store, row(0, time=START.isoformat()), row(1, version="2"), row(2, time=NOW.isoformat()))
    observed = observe(store, BINARY, "1")
    assert (len(observed), observed.inflow.late, observed.inflow.other_versions) == (2, 1, {"2": 1})
    assert len(observe(store, BINARY, None)) == 3


def test_an_empty_stream_is_observed_too(store: StreamStore) -> None:
    assert len(observe(store, BINARY, "1")) == 0


def test_only_batches_whose_rows_are_all_old_are_pruned(store: StreamStore) -> None:
    feed = Feed(store)
    feed.predictions(people(10, 0).assign(actual=0.0), start=START)
    feed.predictions(people(10, 1).assign(actual=0.0), start=START + timedelta(days=30))
    assert store.prune(int((START + timedelta(days=10)).timestamp() * 1e6)) == 1
    assert len(observe(store, BINARY, "1")) == 10


def test_a_write_that_fails_leaves_nothing(store: StreamStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UnavailableError, match="No space left"):
        keep(store, row(0))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_is_no_batch_is_not_read(store: StreamStore) -> None:
    keep(store, row(0))
    store.write("predictions/2026-01-31/.draft.parquet", b"half")
    assert len(observe(store, BINARY, "1")) == 1
