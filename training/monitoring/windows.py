"""The stream cut into windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from training.monitoring.spec import WindowSpec
from training.monitoring.stream import IntArray, Observed

MAX_WINDOWS = 120
"""Windows of a report, the newest ones."""
SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """Rows `start_row` to `stop_row` (exclusive) in the order of time; `closed`: no more are to come but late ones."""

    start: datetime
    end: datetime
    start_row: int
    stop_row: int
    closed: bool

    def __len__(self) -> int:
        return self.stop_row - self.start_row

    def chosen(self, limit: int) -> IntArray:
        """Its rows, or an even sample of `limit` of them."""
        rows = np.arange(self.start_row, self.stop_row, dtype=np.int64)
        if len(rows) <= limit:
            return rows
        return np.sort(np.random.default_rng(self.start_row).choice(rows, limit, replace=False))


def cut(observed: Observed, spec: WindowSpec, now: datetime) -> list[Window]:
    """The windows, oldest first; gaps without rows between two windows of time are windows too."""
    if not len(observed):
        return []
    windows = _by_rows(observed.time_us, spec.rows) if spec.rows else _by_time(observed.time_us, spec.length_s, now)
    return windows[-MAX_WINDOWS:]


def _by_rows(time_us: IntArray, rows: int) -> list[Window]:
    starts = range(0, len(time_us), rows)
    return [
        Window(_at(time_us[start]), _at(time_us[stop - 1]), start, stop, closed=stop - start == rows)
        for start, stop in ((start, min(start + rows, len(time_us))) for start in starts)
    ]


def _by_time(time_us: IntArray, length_s: float, now: datetime) -> list[Window]:
    length_us = int(length_s * SECOND_US)
    first, last = int(time_us[0] // length_us), int(time_us[-1] // length_us)
    first = max(first, last - MAX_WINDOWS + 1)
    bounds = np.arange(first, last + 2, dtype=np.int64) * length_us
    places = np.searchsorted(time_us, bounds, side="left")
    return [
        Window(_at(bounds[i]), _at(bounds[i + 1]), int(places[i]), int(places[i + 1]), closed=_at(bounds[i + 1]) <= now)
        for i in range(len(bounds) - 1)
    ]


def _at(time_us: np.int64 | int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(time_us))
