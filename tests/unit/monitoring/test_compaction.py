"""Small files become few: every row is there before, meanwhile and afterwards, and once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from watched import BINARY, NDJSON, NOW, START, lines, receiver, row

from training.errors import UnavailableError
from training.monitoring.compaction import MIN_FILES, compact
from training.monitoring.schema import MonitoredSchema
from training.monitoring.store import StreamStore
from training.monitoring.stream import Observed, observe
from training.mts_scoring.columns import Feature

LATER = datetime.now(UTC) + timedelta(days=1)
FILES = 2 * MIN_FILES


@pytest.fixture
def store(tmp_path: Path) -> StreamStore:
    """Of single rows, one of them sent again in another batch, with an outcome for each."""
    made = StreamStore(str(tmp_path), "people")
    for number in range(FILES):
        send(made, row(number, time=(START + timedelta(minutes=number)).isoformat()), at=number)
    send(made, row(0, time=START.isoformat()), row(FILES, time=START.isoformat()), at=FILES)
    for number in range(FILES):
        batch = receiver().outcomes(lines({"id": f"r{number}", "actual": "yes"}), NDJSON)
        made.append("outcomes", batch.table, NOW + timedelta(seconds=number))
    return made


def send(store: StreamStore, *rows: dict[str, Any], at: int, schema: MonitoredSchema = BINARY) -> None:
    batch = receiver(schema).predictions(lines(*rows), NDJSON)
    store.append("predictions", batch.table, NOW + timedelta(seconds=at))


def seen(observed: Observed) -> tuple[Any, ...]:
    return observed.table.take(observed.order).to_pylist(), str(observed.actual.tolist()), observed.inflow


def test_the_stream_is_the_same_in_fewer_files(store: StreamStore) -> None:
    before = seen(observe(store, BINARY, "1"))
    assert compact(store, LATER) == FILES + 1 + FILES
    assert [batch.rows for batch in store.batches("predictions")] == [FILES + 2]
    assert [batch.rows for batch in store.batches("outcomes")] == [FILES]
    assert seen(observe(store, BINARY, "1")) == before
    assert before[2].duplicates == 1
    assert compact(store, LATER) == 0


def test_files_that_may_be_sent_again_are_left(store: StreamStore) -> None:
    assert compact(store, datetime.now(UTC)) == 0
    send(store, row(1, time=(START + timedelta(minutes=1)).isoformat()), at=99)
    assert len(store.batches("predictions")) == FILES + 1, "the batch is known by its file"


def test_a_crash_before_the_small_files_are_gone_shows_no_row_twice(
    store: StreamStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(observe(store, BINARY, "1"))
    with monkeypatch.context() as patch:
        patch.setattr(StreamStore, "delete", lambda *_: (_ for _ in ()).throw(UnavailableError("gone")))
        with pytest.raises(UnavailableError):
            compact(store, LATER)
    assert len(store.batches("predictions")) == FILES + 2
    assert seen(observe(store, BINARY, "1")) == before
    compact(store, LATER)
    assert [batch.rows for batch in store.batches("predictions")] == [FILES + 2]
    assert seen(observe(store, BINARY, "1")) == before


class CompactedMeanwhile(StreamStore):
    """Another check joins the files between the listing and the reading."""

    def read(self, batches: Sequence[Any], fields: Sequence[Any], *, whole: bool = False) -> Any:
        compact(StreamStore(self.artifact_uri, self.name), LATER)
        return super().read(batches, fields, whole=whole)


def test_a_reader_whose_files_go_away_reads_the_rows_from_the_new_one(store: StreamStore) -> None:
    before = seen(observe(store, BINARY, "1"))
    assert seen(observe(CompactedMeanwhile(store.artifact_uri, store.name), BINARY, "1")) == before


def test_versions_with_other_features_are_joined_apart_and_read_together(store: StreamStore) -> None:
    features = (Feature("income", "categorical"), Feature("city", "categorical"))
    other = MonitoredSchema("binary", ("no", "yes"), features, "default", 0.5)
    for number in range(3):
        at = (START + timedelta(minutes=number)).isoformat()
        features_of = {"income": "high", "city": "Ulm"}
        send(store, row(100 + number, time=at, version="2", features=features_of), at=200 + number, schema=other)
    compact(store, LATER)
    assert sorted(batch.rows for batch in store.batches("predictions")) == [3, FILES + 2]
    assert observe(store, BINARY, "1").inflow.other_versions == {"2": 3}
    found = observe(store, other, "2")
    assert found.table.take(found.order)["feature.city"].to_pylist() == ["Ulm"] * 3
    assert found.inflow.other_versions == {"1": FILES + 1}
    assert len(observe(store, other, None)) == 3, "rows without these features teach nothing"
