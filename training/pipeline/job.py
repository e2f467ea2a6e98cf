"""A job on its way through the pipeline: what every stage is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.pipeline.workplace import Stopwatch, Workplace
from training.registry import RunTracker
from training.spec import TrainSpec


@dataclass(frozen=True)
class Job:
    """The spec, where it runs, and who hears of it."""

    id: str
    spec: TrainSpec
    workplace: Workplace
    tracker: RunTracker
    watch: Stopwatch
    deadline: float | None
    """time.monotonic() at which the budget for the whole job is spent."""
    part: str = ""
    """Names a fit that is no more than a step on the way to the job's own, such as that of a fold."""
    started_from: list[dict[str, Any]] | None = None
    """Configurations that a search begins with; None: the best of earlier searches."""

    @property
    def checkpoints(self) -> Path | None:
        """Where the fit leaves what it needs to go on after its process dies."""
        return self.workplace.checkpoints / self.id / self.part if self.workplace.checkpoints else None
