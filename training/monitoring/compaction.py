"""Many small files made into few: a caller that sends a row at a time leaves a file for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from training.monitoring.inflow import ID
from training.monitoring.store import RECEIVED, StoredBatch, Stream, StreamStore

MIN_FILES = 8
"""A day with fewer small files is left as it is."""
SMALL_ROWS = 100_000
"""A larger file is left as it is, so that a day is not written again for each late row."""
MAX_ROWS = 500_000
"""Of a file that is made; bounds the memory."""
SETTLED = timedelta(hours=1)
"""Younger files are left: their batch may be sent again after a lost answer, and is then known by its file."""


def compact(store: StreamStore, now: datetime, settled: timedelta = SETTLED) -> int:
    """Joins the small files of each day; says how many files have gone.

    A file is made before those that it holds are deleted, and a reader takes a row that is there twice, with the same
    time of receipt, for one. So readers, other compactions and a crash in between see every row, and see it once.

    Args:
        store: of the monitor.
        now: the present.
        settled: younger files are left.

    Raises:
        UnavailableError: the storage does not answer.
    """
    gone = 0
    streams: tuple[Stream, ...] = ("predictions", "outcomes")
    for stream in streams:
        for batches in _joinable(store.batches(stream), now - settled):
            gone += _join(store, stream, batches)
    return gone


def _joinable(batches: Sequence[StoredBatch], before: datetime) -> Iterator[list[StoredBatch]]:
    days: dict[str, list[StoredBatch]] = defaultdict(list)
    for batch in batches:
        if batch.rows < SMALL_ROWS and batch.modified < before:
            days[batch.path.rpartition("/")[0]].append(batch)
    for found in days.values():
        if len(found) >= MIN_FILES:
            yield from _groups(found)


def _groups(batches: Sequence[StoredBatch]) -> Iterator[list[StoredBatch]]:
    group: list[StoredBatch] = []
    for batch in batches:
        if group and sum(one.rows for one in group) + batch.rows > MAX_ROWS:
            yield group
            group = []
        group.append(batch)
    yield group


def _join(store: StreamStore, stream: Stream, batches: Sequence[StoredBatch]) -> int:
    """Joins those that have the same columns: the features of versions may differ."""
    tables: dict[Any, list[tuple[StoredBatch, Any]]] = defaultdict(list)
    for batch in batches:
        table = store.read_whole(batch)
        tables[tuple((field.name, str(field.type)) for field in table.schema)].append((batch, table))
    gone = 0
    for found in tables.values():
        if len(found) < 2:
            continue
        path = store.put(stream, _once(pa.concat_tables([table for _, table in found])))
        gone += store.delete([batch.path for batch, _ in found if not batch.path.endswith(path)])
    return gone


def _once(table: Any) -> Any:
    """Without the rows that an interrupted compaction has left twice, in the order of their receipt."""
    table = table.sort_by([(RECEIVED, "ascending"), (ID, "ascending")])
    received = table[RECEIVED].cast(pa.int64()).to_numpy()
    ids = np.asarray(table[ID].to_pylist(), dtype=object)
    again = (received[1:] == received[:-1]) & (ids[1:] == ids[:-1])
    return table if not again.any() else table.filter(pa.array(np.append(True, ~again)))
