"""Where a job runs: what it may read and where it registers. The same job runs in any workplace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.data import DataAccess, SnapshotStore
from training.events import Observer, Phase
from training.registry import Registry


@dataclass(frozen=True)
class Workplace:
    """What a job needs of its surroundings; picklable, so that it can be handed to a worker."""

    access: DataAccess
    registry: Registry
    checkpoints: Path | None = None
    """Folder in which long fits leave checkpoints, a sub-folder for each job; None for none."""

    def __post_init__(self) -> None:
        if self.access.store is None:
            object.__setattr__(self, "access", replace(self.access, store=self.registry.artifact_uri))

    @property
    def snapshots(self) -> SnapshotStore:
        """Where the rows of jobs are kept: beside the models."""
        return SnapshotStore(self.registry.artifact_uri)


@dataclass(frozen=True)
class Stopwatch:
    """Seconds spent in each phase, as `<phase>_s`."""

    observer: Observer
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Announces the phase and measures it; a phase entered twice adds up."""
        self.observer.phase(phase)
        started = time.perf_counter()
        try:
            yield
        finally:
            spent_s = time.perf_counter() - started
            self.timings[f"{phase}_s"] = round(self.timings.get(f"{phase}_s", 0.0) + spent_s, 4)
