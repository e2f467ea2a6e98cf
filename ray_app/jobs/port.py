"""The use cases of jobs as the API and its services see them; the dispatcher is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStats, LogChunk
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, WebhookEvent


class Jobs(Protocol):
    """Jobs of the cluster. Every method may be called from many coroutines at once.

    Each raises `training.errors.UnavailableError` when the dispatcher cannot be reached, and
    `training.errors.NotFoundError` for an unknown job.
    """

    async def submit(
        self,
        kind: JobKind,
        spec: dict[str, Any],
        *,
        idempotency_key: str | None = None,
        retry_of: str | None = None,
    ) -> tuple[Job, bool]:
        """Stores the job and answers only then. The flag says whether it is new (False: the key's earlier job).

        Raises:
            ConflictError: the same key came before with another spec.
            SpecError: the job can never be scheduled.
        """

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        """The job; with `wait_s`, as soon as it is final or when the time is over."""

    async def list(self, query: JobQuery) -> JobPage:
        """A page of jobs, newest first.

        Raises:
            SpecError: the cursor is not one of ours.
        """

    async def active(self, tag: str) -> int:
        """The number of jobs with the tag (`key=value`) that are not over."""

    async def cancel(self, job_id: str) -> Job:
        """Asks the job to stop.

        Raises:
            ConflictError: it is final.
        """

    async def retry(self, job_id: str) -> Job:
        """A new job with the same spec and `retry_of` set.

        Raises:
            ConflictError: the job is not FAILED or CANCELLED.
        """

    async def events(self, job_id: str, *, after: int = 0, wait_s: float = 0) -> Sequence[JobEvent]:
        """Events with seq > after, in order; waits up to `wait_s` for the first."""

    async def log(self, job_id: str, *, offset: int = 0, wait_s: float = 0) -> LogChunk:
        """The log from a byte offset; waits up to `wait_s` for more."""

    async def stats(self) -> JobStats:
        """Counts for metrics."""

    async def health(self) -> dict[str, str]:
        """What the dispatcher depends on: {"store": "ok", "cluster": "ok"} or the reason that it is not."""


class Outbox(Protocol):
    """Webhooks on their way. Every method may be called from many coroutines at once.

    Each raises `training.errors.UnavailableError` when the dispatcher cannot be reached.
    """

    async def publish(self, event: WebhookEvent) -> None:
        """Stores the event for every receiver that wants it, and answers only then."""

    async def deliveries(self, status: DeliveryStatus | None, limit: int, cursor: str | None) -> DeliveryPage:
        """Deliveries, newest first."""

    async def replay(self, delivery_id: str) -> Delivery:
        """Lets a dead or delivered one go out again.

        Raises:
            NotFoundError: no such delivery.
            ConflictError: it is on its way.
        """


class Dispatching(Jobs, Outbox, Protocol):
    """All that the dispatcher does for the API."""
