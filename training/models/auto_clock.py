"""The time and the memory that a search has left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psutil

from training.events import Observer, SilentObserver

MOST_PROGRESS = 0.98
"""Before the members are combined."""
MEMORY_SHARE = 0.8
"""Of the memory that is free; the rest is for the operating system and for estimates that are too low."""


@dataclass(frozen=True)
class Budget:
    """Seconds from `started` (time.monotonic) to the end; some of them are kept for combining the members."""

    total_s: float
    started: float = field(default_factory=time.monotonic)

    @property
    def combining_s(self) -> float:
        """What is kept for the combination."""
        return min(10.0, 0.06 * self.total_s)

    def left_s(self) -> float:
        """Seconds until the last fit must be over."""
        return self.started + self.total_s - self.combining_s - time.monotonic()


class Elapsed(SilentObserver):
    """Hears the fits of a search; the progress of the whole is the share of the budget that has passed."""

    def __init__(self, whole: Observer, budget: Budget) -> None:
        self._whole, self._budget = whole, budget

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Tells the share of the time.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        passed_s = time.monotonic() - self._budget.started
        left_s = max(0.0, self._budget.total_s - passed_s)
        self._whole.progress(min(MOST_PROGRESS, passed_s / self._budget.total_s), left_s)


def free_memory_mb() -> float:
    """What a fit may take now."""
    return float(psutil.virtual_memory().available) / 1e6 * MEMORY_SHARE
