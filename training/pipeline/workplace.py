"""Where a job runs: what it may read and where it registers. The same job runs in any workplace."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.data import DataAccess, SnapshotStore
from training.errors import UnavailableError
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

    def check_checkpoints(self) -> None:
        """Writes into the folder of the checkpoints: a long fit must not find out at its first one that it cannot.

        Raises:
            UnavailableError: the folder cannot be made or written.
        """
        folder = self.checkpoints
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"written")
        except OSError as error:
            raise UnavailableError.at(
                "MTS_HOME",
                str(folder),
                f"no checkpoints can be written to {folder}: {error.strerror or error}",
                hint="Let the service write there, free some of the disk, or set MTS_HOME to another folder.",
            ) from error


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
