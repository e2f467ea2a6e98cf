"""What the contracts of a job store begin with: a clock to move, and jobs in each state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.jobs.model import Job, JobError
from ray_app.jobs.store import JobStore

NO_SUCH_JOB = "job_" + "0" * 26
ERROR = JobError(type="DataError", message="data.target: no such column", hint="look at the header")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def new_job(store: JobStore, name: str = "credit", **options: Any) -> Job:
    return store.create("train", name, {"name": name}, **options)[0]


def running_job(store: JobStore, **options: Any) -> tuple[str, int]:
    job_id = new_job(store, **options).id
    attempt = store.assign_attempt(job_id)
    assert store.started(job_id, attempt) is not None
    return job_id, attempt


def states_of(store: JobStore, job_id: str) -> list[str]:
    return [event.data["status"] for event in store.events(job_id) if event.type == "state"]
