"""The part of a job that changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, assert_never

from ray_app.jobs.model import JobError, JobStatus, Progress

FailureBudget = Literal["user", "platform", "none"]


@dataclass(frozen=True)
class FailureCounts:
    """How often a job has been requeued, by what it was counted against."""

    user: int = 0
    platform: int = 0
    interruptions: int = 0
    """Counted against nobody: our own restarts."""

    def after(self, budget: FailureBudget) -> FailureCounts:
        """The counts after one more."""
        match budget:
            case "user":
                return replace(self, user=self.user + 1)
            case "platform":
                return replace(self, platform=self.platform + 1)
            case "none":
                return replace(self, interruptions=self.interruptions + 1)
            case _:
                assert_never(budget)


@dataclass(frozen=True)
class Life:
    """The part of a job that changes."""

    status: JobStatus = JobStatus.PENDING
    attempt: int = 0
    released: bool = False
    """The attempt is out: handed to the cluster and neither over nor taken back."""
    cancel_requested: bool = False
    committed: bool = False
    """An attempt was let register a version: whether it has, only the registry knows once its process is gone."""
    started_at: datetime | None = None
    """Of the first attempt."""
    finished_at: datetime | None = None
    not_before: datetime | None = None
    """A pending job is not released earlier."""
    failures: FailureCounts = FailureCounts()
    progress: Progress = field(default_factory=Progress)
    result: dict[str, Any] | None = None
    error: JobError | None = None
    links: dict[str, str] = field(default_factory=dict)
