"""The stored stream as one table: each prediction once, with its outcome where that has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from training.errors import UnavailableError
from training.monitoring.inflow import ACTUAL, ID, OUTCOME_FIELDS, PREDICTION_FIELDS, TIME, VERSION
from training.monitoring.profile import scores_of
from training.monitoring.schema import FEATURE, MonitoredSchema
from training.monitoring.store import RECEIVED, StoredBatch, StreamStore

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MAX_ROWS_READ = 3_000_000
"""Predictions that one report reads, the newest ones."""
READS = 2
"""Further ones, where a file has gone between the listing and the reading."""
LATE_US = 24 * 3600 * 1_000_000
"""A prediction that came in more than a day after its time is counted as late."""


@dataclass(frozen=True)
class Inflow:
    """What came in, for the report. Duplicates are rows that were sent again; of conflicts, which have other values
    under the same id, the one received first counts."""

    predictions: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    outcomes: int = 0
    outcome_duplicates: int = 0
    outcome_conflicts: int = 0
    matched: int = 0
    unmatched: int = 0
    conflict_ids: tuple[str, ...] = ()
    other_versions: Mapping[str, int] = field(default_factory=dict)
    unread: int = 0


@dataclass(frozen=True)
class Observed:
    """Predictions of one version in the order of time.

    `table`: pyarrow.Table as it was read; `order`: [n] its rows that count, by time; `time_us`, `actual`: [n] in that
    order, `actual` NaN where no outcome has come.
    """

    schema: MonitoredSchema
    table: Any
    order: IntArray
    time_us: IntArray
    actual: FloatArray
    inflow: Inflow

    def __len__(self) -> int:
        return len(self.order)

    def rows(self, chosen: IntArray) -> Rows:
        """Some rows, by their place in the order of time."""
        return Rows(self.schema, self.table.take(pa.array(self.order[chosen])), self.actual[chosen])


@dataclass(frozen=True)
class Rows:
    """Rows of one window (or of the reference): stored columns, and the true values, NaN where they are not known."""

    schema: MonitoredSchema
    table: Any
    actual: FloatArray

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def scores(self) -> FloatArray:
        """[n, k], see `profile.scores_of`."""
        return scores_of(self.table, self.schema)

    def column(self, feature: str) -> Any:
        """A feature: pyarrow.ChunkedArray."""
        return self.table[FEATURE + feature]

    def frame(self) -> pd.DataFrame:
        """The features under their own names."""
        frame: pd.DataFrame = self.table.select(list(self.schema.feature_columns)).to_pandas()
        frame.columns = pd.Index([feature.name for feature in self.schema.features])
        return frame


def observe(store: StreamStore, schema: MonitoredSchema, version: str | None) -> Observed:
    """Reads the stream of one version; with None that of all versions that read the same features.

    Raises:
        UnavailableError: the storage does not answer.
    """
    for _ in range(READS):
        try:
            return _observe(store, schema, version)
        except UnavailableError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            # another check has joined small files after they were listed: the rows are in another file
    return _observe(store, schema, version)


def _observe(store: StreamStore, schema: MonitoredSchema, version: str | None) -> Observed:
    batches, unread = _newest(store.batches("predictions"), MAX_ROWS_READ)
    fields = [*PREDICTION_FIELDS, *schema.arrow_fields()]
    table = store.read(batches, fields, whole=version is None)
    if table is None:
        empty = np.empty(0, dtype=np.int64)
        outcomes = sum(batch.rows for batch in store.batches("outcomes"))
        return Observed(schema, None, empty, empty, np.empty(0), Inflow(outcomes=outcomes, unmatched=outcomes))
    outcomes = store.read(store.batches("outcomes"), OUTCOME_FIELDS)
    keys, outcome_keys = _keys(table, outcomes)
    kept = _first_received(keys, table, [TIME, *schema.score_columns])
    actual, outcome_facts = _joined(kept.rows, keys, outcomes, outcome_keys)
    own = np.ones(len(kept.rows), dtype=np.bool_)
    if version is not None:
        own = np.asarray(pc.equal(table[VERSION], version).to_numpy(), dtype=np.bool_)[kept.rows]
    rows, actual = kept.rows[own], actual[own]
    time_us = table[TIME].cast(pa.int64()).to_numpy()
    late = int((table[RECEIVED].cast(pa.int64()).to_numpy()[rows] - time_us[rows] > LATE_US).sum())
    by_time = np.argsort(time_us[rows], kind="stable")
    others = pc.value_counts(table[VERSION].take(pa.array(kept.rows[~own]))).to_pylist()
    inflow = Inflow(
        predictions=len(rows), duplicates=kept.duplicates, conflicts=kept.conflicts, late=late,
        conflict_ids=kept.conflict_ids, other_versions={item["values"]: item["counts"] for item in others},
        unread=unread, **outcome_facts,
    )  # fmt: skip
    return Observed(schema, table, rows[by_time], time_us[rows[by_time]], actual[by_time], inflow)


@dataclass(frozen=True)
class _Kept:
    rows: IntArray
    duplicates: int = 0
    conflicts: int = 0
    conflict_ids: tuple[str, ...] = ()


def _newest(batches: Sequence[StoredBatch], limit: int) -> tuple[list[StoredBatch], int]:
    """The newest batches that together hold at most `limit` rows (at least one), and the rows left out."""
    chosen: list[StoredBatch] = []
    rows = 0
    for batch in sorted(batches, key=lambda batch: (-batch.last_us, batch.content)):
        if chosen and rows + batch.rows > limit:
            break
        chosen.append(batch)
        rows += batch.rows
    return chosen, sum(batch.rows for batch in batches) - rows


def _keys(table: Any, outcomes: Any) -> tuple[IntArray, IntArray]:
    """One number for each distinct id, over both tables."""
    chunks = [*table[ID].chunks, *(outcomes[ID].chunks if outcomes is not None else [])]
    codes = pc.dictionary_encode(pa.chunked_array(chunks, pa.string())).combine_chunks()
    codes = codes.chunk(0) if isinstance(codes, pa.ChunkedArray) else codes
    numbers = codes.indices.to_numpy().astype(np.int64)
    return numbers[: table.num_rows], numbers[table.num_rows :]


def _first_received(keys: IntArray, table: Any, compared: Sequence[str]) -> _Kept:
    """The row of each id that was received first; rows with other values in the compared columns are conflicts."""
    received = table[RECEIVED].cast(pa.int64()).to_numpy()
    order = np.lexsort((received, keys))
    key, moment = keys[order], received[order]
    first = np.append(True, key[1:] != key[:-1])
    rows = np.asarray(order[first], dtype=np.int64)
    if len(rows) == len(keys):
        return _Kept(rows)
    # received at the same time, it is the same row: in a small file and in the one that is to take its place
    again = np.flatnonzero(~first & np.append(True, moment[1:] != moment[:-1]))
    later, earlier = order[again], rows[np.cumsum(first)[again] - 1]
    differs = np.zeros(len(again), dtype=np.bool_)
    for name in compared:
        column = table[name]
        values = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_numpy()
        differs |= values[later] != values[earlier]
    ids = table[ID].take(pa.array(later[differs][:5])).to_pylist()
    return _Kept(rows, len(again), int(differs.sum()), tuple(ids))


def _joined(rows: IntArray, keys: IntArray, outcomes: Any, outcome_keys: IntArray) -> tuple[FloatArray, dict[str, int]]:
    """The true value of each row, [n], NaN where it is not known, and facts about the outcomes."""
    actual = np.full(len(rows), np.nan)
    if outcomes is None:
        return actual, {}
    kept = _first_received(outcome_keys, outcomes, [ACTUAL])
    values = outcomes[ACTUAL].to_numpy()
    by_key = np.full(int(max(keys.max(), outcome_keys.max())) + 1, np.nan)
    by_key[outcome_keys[kept.rows]] = values[kept.rows]
    actual = by_key[keys[rows]]
    matched = int(np.isfinite(actual).sum())
    return actual, {
        "outcomes": len(kept.rows),
        "outcome_duplicates": kept.duplicates,
        "outcome_conflicts": kept.conflicts,
        "matched": matched,
        "unmatched": len(kept.rows) - matched,
    }
