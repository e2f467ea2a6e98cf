"""What can happen to a job. The transition function says what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ray_app.jobs.life import FailureBudget
from ray_app.jobs.model import JobError, Progress


@dataclass(frozen=True)
class Assigned:
    """The job is about to be released; it gets its next attempt number, which fences out all earlier ones."""


@dataclass(frozen=True)
class Waiting:
    """Nothing happens yet, and this is why."""

    message: str


@dataclass(frozen=True)
class Started:
    """The process of an attempt has begun."""

    attempt: int


@dataclass(frozen=True)
class Reported:
    """A running attempt says where it is."""

    attempt: int
    progress: Progress | None = None
    links: dict[str, str] | None = None


@dataclass(frozen=True)
class Committed:
    """A running attempt is about to register its version."""

    attempt: int


@dataclass(frozen=True)
class Succeeded:
    """A running attempt has done the job."""

    attempt: int
    result: dict[str, Any]
    links: dict[str, str]


@dataclass(frozen=True)
class Failed:
    """The job is given up; with attempt None whatever attempt is out."""

    attempt: int | None
    error: JobError


@dataclass(frozen=True)
class Requeued:
    """An attempt is over without a result, and the job is to be tried again."""

    attempt: int
    reason: str
    not_before: datetime | None
    budget: FailureBudget


@dataclass(frozen=True)
class CancelRequested:
    """Somebody asks the job to stop."""


@dataclass(frozen=True)
class Cancelled:
    """An attempt has stopped because it was asked to."""

    attempt: int


REPEATABLE = (Assigned, Waiting, Started, Committed, Succeeded, Failed, Cancelled)
"""Happenings that may be applied twice where nobody knows whether the first time was stored."""

Happening = (
    Assigned | Waiting | Started | Reported | Committed | Succeeded | Failed | Requeued | CancelRequested | Cancelled
)
