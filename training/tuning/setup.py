"""What a search needs beside its plan, whom it tells, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from training.result import TrialRow
from training.spec import ResourcesSpec


class StudyListener(Protocol):
    """Hears of trials; called from the thread that runs the study, and must return quickly."""

    def trial(self, row: TrialRow) -> None:
        """A trial begins or is over."""

    def best(self, row: TrialRow, ended: int) -> None:
        """The best trial after so many."""

    def progress(self, fraction: float) -> None:
        """Share of the search that is done. Raises JobCancelledError to end it."""


@dataclass(frozen=True)
class StudySetup:
    """What a study needs beside its plan.

    `earlier`: configurations of earlier studies, the best first. `budget_s`: for the search; None for no limit.
    `noise`: of the first objective, asked for when a search is to end below it.
    """

    folder: Path
    fingerprint: str
    resources: ResourcesSpec
    seed: int
    earlier: Sequence[dict[str, Any]] = ()
    budget_s: float | None = None
    is_hard: bool = False
    """Whether the budget holds for the first trial too; else that has all the time that it needs."""
    noise: Callable[[TrialRow], float] | None = None
    kept_scores: int = 1
    """Trials, the best ones, whose scores of the held-out rows are kept; and those of the default configuration."""


@dataclass(frozen=True)
class StudyOutcome:
    """What a study found; `rows` are all trials by number."""

    best: TrialRow
    rows: list[TrialRow]
    ended_by: str
    resumed: int
    spent_s: float
