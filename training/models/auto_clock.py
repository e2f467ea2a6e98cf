"""The time and the memory that a search has left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from training.data.table import Rows
from training.events import Observer, SilentObserver
from training.models.base import Scores
from training.models.combining import GreedyOptions, combine

MOST_PROGRESS = 0.98
"""Before the members are combined."""
MEMORY_SHARE = 0.8
"""Of the memory that is free; the rest is for the operating system and for estimates that are too low."""
FIRST_SHARE, FIRST_MOST_S = 0.06, 10.0
"""Kept for the combination before anything is known of what it takes."""
MOST_COMBINING, MOST_CORRECTING, MOST_JOB = 0.15, 0.1, 0.4
"""Of the budget that is kept for the combination, for the corrections, and for the job after them."""
CALIBRATION_ROW_S = 1.2e-5
"""Of each held-out row and class, to try the corrections of the probabilities."""
USUAL_ROUNDS = 0.5
"""Of those that a bag may have; the selection ends earlier where nothing helps any more."""
TIMED = GreedyOptions(bags=1, rounds=2, share=1.0)
"""A small part of a combination, from whose time that of the whole follows."""


@dataclass(frozen=True)
class Budget:
    """Seconds from `started` (time.monotonic()) to the end."""

    total_s: float
    started: float = field(default_factory=time.monotonic)

    def left_s(self) -> float:
        """Seconds until everything must be over."""
        return self.started + self.total_s - time.monotonic()

    def first_reserve_s(self) -> float:
        """What is kept for combining while nothing is known."""
        return min(FIRST_MOST_S, FIRST_SHARE * self.total_s)


def combining_s(scores: Sequence[Scores], rows: Rows, folds: int) -> float:
    """What it takes to combine members with these scores and one more, once for each fold and once for all: measured on
    a small part of it."""
    options = GreedyOptions()
    scores = [*scores, *scores] if len(scores) == 1 else scores
    started = time.monotonic()
    combine("greedy", scores, rows, 0, TIMED)
    spent_s = time.monotonic() - started
    share = USUAL_ROUNDS * options.share * options.bags * options.rounds / (TIMED.bags * TIMED.rounds)
    return spent_s * share * (folds + 1) * (len(scores) + 1) / len(scores)


def correcting_s(scores: Scores) -> float:
    """What it takes to try corrections of these probabilities."""
    return 0.0 if scores.ndim == 1 else CALIBRATION_ROW_S * scores.size


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
