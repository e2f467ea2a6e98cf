"""What a job is on the wire and between processes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobKind = Literal["train", "evaluate", "reproduce", "query", "monitor"]
EventType = Literal["state", "phase", "progress", "metrics"]


class JobStatus(StrEnum):
    """States of a job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self not in {JobStatus.PENDING, JobStatus.RUNNING}


class WireModel(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class FieldProblem(WireModel):
    """A field at fault."""

    field: str
    value: Any = None
    message: str


class JobError(WireModel):
    """Why a job failed."""

    type: str
    message: str
    hint: str = ""
    retryable: bool = False
    errors: list[FieldProblem] = []


class Progress(WireModel):
    """Where a running job is."""

    phase: str = "queued"
    fraction: float = 0.0
    """Of the present phase."""
    eta_s: float | None = None
    metrics: dict[str, float] = {}
    message: str | None = None
    """For people: why a job waits."""


class Job(WireModel):
    """A job as the API answers it."""

    id: str
    kind: JobKind
    name: str
    status: JobStatus
    spec: dict[str, Any]
    attempt: int = 0
    """1 for the first run; 0 before it started."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: Progress = Progress()
    result: dict[str, Any] | None = None
    error: JobError | None = None
    links: dict[str, str] = {}
    tags: dict[str, str] = {}
    priority: int = 0
    retry_of: str | None = None
    """The job that this one repeats."""
    cancel_requested: bool = False


class JobEvent(WireModel):
    """One thing that happened to a job; `seq` counts up from 1 without gaps within the job."""

    seq: int
    type: EventType
    time: datetime
    data: dict[str, Any]


class JobQuery(WireModel):
    """Which jobs to list, newest first."""

    status: list[JobStatus] = []
    kind: JobKind | None = None
    name: str | None = None
    tag: str | None = None
    """`key` or `key=value`."""
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class JobPage(WireModel):
    """A page of jobs."""

    items: list[Job]
    next_cursor: str | None = None


class LogChunk(WireModel):
    """A piece of a job's log; `next_offset` is where the next piece starts, in bytes."""

    text: str
    next_offset: int
    final: bool
    """True when the job is over and no more will come."""


class Histogram(WireModel):
    """How often a duration fell between two bounds."""

    bounds: list[float]
    """Upper bounds in seconds, inclusive."""
    counts: list[int]
    """One more than bounds: the last is of what was longer."""
    sum: float


class MonitorStats(WireModel):
    """Figures of one monitor."""

    monitor: str
    alarms: dict[str, int] = {}
    """By severity, since it was made."""
    windows: dict[str, int] = {}
    """Of the newest check: `quiet` and `alarmed`; empty before the first one."""
    checked_at: datetime | None = None


class JobStats(WireModel):
    """For metrics and readiness."""

    by_status: dict[str, int]
    """Live counts of PENDING and RUNNING, totals of the final states."""
    oldest_pending_s: float | None = None
    released: int = 0
    """Jobs handed to Ray and not yet over."""
    warm_workers: int = 0
    """Worker processes that have everything imported."""
    histograms: dict[str, Histogram] = {}
    """Since the dispatcher started: `queue_s` until a job began, `fit_s` of its fit."""
    monitors: list[MonitorStats] = []
