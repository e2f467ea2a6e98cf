"""What the dispatcher and its workers say to each other; all of it picklable and free of Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ray_app.dispatcher.capacity import Demand
from ray_app.jobs.model import EventType, JobKind, Progress
from ray_app.jobs.retry_policy import Failure
from ray_app.settings import Settings


@dataclass(frozen=True)
class Place:
    """The settings that a worker needs; the URL of the job store is not among them."""

    roots: tuple[str, ...]
    base: Path
    tracking_uri: str
    artifact_uri: str
    checkpoints: Path
    connections_file: Path | None = None
    otlp_endpoint: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Where jobs of this service read and register."""
        return cls(
            settings.roots, settings.base.resolve(), settings.tracking_uri, settings.artifacts,
            settings.home_path / "checkpoints", settings.connections_path, settings.otlp_endpoint,
        )  # fmt: skip


@dataclass(frozen=True)
class StoreAddress:
    """Where the job store is, for whoever only reads it."""

    url: str = field(repr=False)
    """May hold a password."""
    node_id: str | None
    """The node whose disk holds it; None where it is reached by the network."""


@dataclass(frozen=True)
class Assignment:
    """One attempt at a job, as it is handed to a worker."""

    job_id: str
    attempt: int
    kind: JobKind
    name: str
    spec: dict[str, Any]
    demand: Demand
    only_look: bool = False
    """The job was cancelled while an earlier attempt registered: all that is to be done is to see what came of it."""

    @property
    def task_name(self) -> str:
        """As Ray's dashboard shows it."""
        return f"{self.kind}:{self.name}:{self.job_id}"


@dataclass(frozen=True)
class Whereabouts:
    """The process that runs an attempt."""

    pid: int
    started_s: float
    """Seconds since the epoch; another process may get the same id later."""
    node_id: str
    worker_id: str


@dataclass(frozen=True)
class Report:
    """What happened in a running attempt since its last report."""

    progress: Progress
    events: tuple[tuple[EventType, dict[str, Any]], ...] = ()
    log: str = ""
    """Whole lines."""


@dataclass(frozen=True)
class Done:
    """The attempt has a result."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """The attempt failed with an exception."""

    failure: Failure


@dataclass(frozen=True)
class Stopped:
    """The attempt ended because it was asked to, or because another attempt has taken its place."""


Outcome = Done | Broken | Stopped


@dataclass(frozen=True)
class TaskEnd:
    """What Ray says when a task is over; `error` is None where the function returned."""

    job_id: str
    attempt: int
    error: BaseException | None = field(default=None, compare=False)
