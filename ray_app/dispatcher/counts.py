"""Counts of jobs by status, read less often when reading them takes long."""

from __future__ import annotations

import time
from collections.abc import Callable

SLOW_S = 0.25
"""A count that is faster is made each time; with a million jobs it takes 1.5 s."""
REST = 30.0
"""A slow count stands for so many times as long as it took, so that it costs a thirtieth of a core at most."""


class Counts:
    """Asked from one thread at a time.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, int] = {}
        self._good_until = 0.0

    def read(self, count: Callable[[], dict[str, int]]) -> dict[str, int]:
        """The counts, as they are or as they were a moment ago."""
        started = self._clock()
        if not self._known or started >= self._good_until:
            self._known = count()
            took_s = self._clock() - started
            self._good_until = self._clock() + (REST * took_s if took_s > SLOW_S else 0.0)
        return self._known
