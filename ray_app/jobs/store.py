"""The job store: what survives of a job when processes, nodes or the whole cluster die."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from ray_app.jobs import happenings, new_jobs, queries, writes
from ray_app.jobs.database import Database
from ray_app.jobs.happenings import Happening
from ray_app.jobs.ids import IdFactory
from ray_app.jobs.life import FailureBudget, FailureCounts, Life
from ray_app.jobs.migrate import migrate, schema_version
from ray_app.jobs.model import Job, JobError, JobEvent, JobKind, JobPage, JobQuery, Progress
from ray_app.jobs.monitors.store import MonitorStore
from ray_app.jobs.pools.store import PoolStore
from ray_app.jobs.webhooks import WebhookEvent, WebhookStore, add_deliveries
from training.errors import ConflictError

DEFAULT_EVENT_LIMIT = 1000


def utc_now() -> datetime:
    """The present, with its zone."""
    return datetime.now(UTC)


class JobStore:
    """Jobs and their events on SQLite or PostgreSQL.

    Thread-safe, and safe to be opened by several processes. Every method is one transaction: what it answers is on
    disk, and what it raises has left nothing behind. Every change goes through `states.transition`, and each change of
    status writes its `state` event in the same transaction; `seq` counts up from 1 without gaps.

    Methods that take an attempt ignore one that is not the job's or is over, and then answer None (or False); the same
    report given twice is the same as given once.

    Every method raises UnavailableError when the database is away, and NotFoundError for an unknown job.

    Args:
        url: SQLAlchemy URL, `sqlite:///PATH` (the folder is made) or `postgresql://…`; never shown in an error.
        clock: gives the present; for tests.

    Raises:
        SpecError: the URL is of another kind.
        ConflictError: a newer release has written the database.
        UnavailableError: the database cannot be opened.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._ids = IdFactory()
        self._database = Database(url)
        self.webhooks = WebhookStore(self._database, clock)
        try:
            migrate(self._database)
        except BaseException:
            self._database.close()
            raise
        self.monitors = MonitorStore(self._database, clock)
        """Monitors, in the same database."""
        self.pools = PoolStore(self._database, clock)
        """Pools of rows to label, in the same database."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()

    # what comes in from callers

    def create(
        self, kind: JobKind, name: str, spec: dict[str, Any], *, priority: int = 0, tags: dict[str, str] | None = None,
        idempotency_key: str | None = None, retry_of: str | None = None,
    ) -> tuple[Job, bool]:  # fmt: skip
        """Stores a PENDING job. The flag is False where the key's earlier job is answered instead.

        Raises:
            ConflictError: the key came before with another kind or spec.
            SpecError: a tag or the key is too long or has characters that cannot be shown.
        """
        draft = self.draft(
            kind, name, spec, priority=priority, tags=tags, idempotency_key=idempotency_key, retry_of=retry_of
        )
        [stored] = self.add([draft])
        if isinstance(stored, ConflictError):
            raise stored
        return stored

    def draft(
        self, kind: JobKind, name: str, spec: dict[str, Any], *, priority: int = 0, tags: dict[str, str] | None = None,
        idempotency_key: str | None = None, retry_of: str | None = None,
    ) -> new_jobs.NewJob:  # fmt: skip
        """A job with its id, which is not stored yet.

        Raises:
            SpecError: a tag or the key is too long or has characters that cannot be shown.
        """
        now = self._clock()
        return new_jobs.NewJob(
            id=self._ids.new(now), kind=kind, name=name, spec=spec, priority=priority, tags=tags or {},
            idempotency_key=idempotency_key, retry_of=retry_of, created_at=now,
        )  # fmt: skip

    def add(self, drafts: Sequence[new_jobs.NewJob]) -> Sequence[tuple[Job, bool] | ConflictError]:
        """Stores drafts, all by one transaction: to reach the disk costs as much for one as for many.

        Answers for each what `create` would, or the error that it would raise.
        """
        if not drafts:
            return []
        stored = self._database.write(lambda connection: new_jobs.insert_jobs(connection, drafts), repeatable=True)
        return [
            job if isinstance(job, ConflictError) else (job, job.id == draft.id)
            for job, draft in zip(stored, drafts, strict=True)
        ]

    def request_cancel(self, job_id: str) -> Job:
        """A PENDING job is CANCELLED at once; a RUNNING one, and one that may have registered, gets `cancel_requested`.

        Raises:
            ConflictError: it is final.
        """
        return self._changed_job(job_id, happenings.CancelRequested())

    def get(self, job_id: str) -> Job:
        """The job."""
        return self._database.read(lambda connection: queries.get_job(connection, job_id))

    def list(self, query: JobQuery) -> JobPage:
        """A page of jobs, newest first. A spec beyond 64 KiB is left out: {"name": …, "omitted": …}.

        Raises:
            SpecError: the cursor is not one of ours.
        """
        return self._database.read(lambda connection: queries.list_jobs(connection, query))

    def active(self, tag: str) -> int:
        """The number of jobs with the tag (`key=value`) that are not over."""
        return self._database.read(lambda connection: queries.active_with_tag(connection, tag))

    def events(self, job_id: str, after: int = 0, limit: int = DEFAULT_EVENT_LIMIT) -> Sequence[JobEvent]:
        """Events with seq > after, in order. The last event of a final job is the `state` event with that state."""
        return self._database.read(lambda connection: queries.job_event_list(connection, job_id, after, limit))

    # what the dispatcher works with

    def pending(self, limit: int, *, exclude: Collection[str] = ()) -> Sequence[Job]:
        """Jobs that may be released now, by priority (highest first), then by age; those that are out are among them.

        Args:
            limit: at most so many.
            exclude: ids to leave out, such as those that the caller has released and holds in memory.
        """
        now = self._clock()
        return self._database.read(lambda connection: queries.pending_jobs(connection, limit, now, exclude))

    def running(self) -> Sequence[Job]:
        """All running jobs, oldest first."""
        return self._database.read(queries.running_jobs)

    def failures(self, job_id: str) -> FailureCounts:
        """How often the job has been requeued, for the retry policy."""
        return self._database.read(lambda connection: queries.failure_counts(connection, job_id))

    def committed(self, job_id: str) -> bool:
        """Whether an attempt was let register a version."""
        return self._database.read(lambda connection: queries.is_committed(connection, job_id))

    def assign_attempt(self, job_id: str) -> int:
        """Counts the attempt up just before the job is released; all earlier attempts are fenced out from here on.

        Raises:
            ConflictError: the job is not PENDING (any more).
        """
        return self._changed_job(job_id, happenings.Assigned()).attempt

    def waiting(self, job_id: str, message: str) -> bool:
        """Says why a pending job waits; False when it no longer does."""
        told = writes.progress_event(Progress(message=message))
        return self._apply(job_id, happenings.Waiting(message), events=[told]) is not None

    def requeue(
        self, job_id: str, attempt: int, *, reason: str, not_before: datetime | None = None, count: FailureBudget
    ) -> Job | None:
        """Makes the job PENDING for another attempt. Where somebody asked it to stop it is CANCELLED instead, unless an
        attempt may have registered a version."""
        return self._reported_job(job_id, happenings.Requeued(attempt, reason, not_before, count))

    def fail(self, job_id: str, attempt: int | None, error: JobError) -> Job | None:
        """Gives the job up. With attempt None whatever attempt is out, or none."""
        return self._reported_job(job_id, happenings.Failed(attempt, error))

    def cancelled(self, job_id: str, attempt: int) -> Job | None:
        """The attempt has stopped because it was asked to."""
        return self._reported_job(job_id, happenings.Cancelled(attempt))

    # what comes in from the process that does the job

    def started(self, job_id: str, attempt: int) -> Job | None:
        """The process of the attempt has begun: PENDING becomes RUNNING. None: it must not do the job."""
        return self._reported_job(job_id, happenings.Started(attempt))

    def report(
        self, job_id: str, attempt: int, *, progress: Progress | None = None, events: Sequence[writes.Event] = (),
        links: dict[str, str] | None = None,
    ) -> bool:  # fmt: skip
        """Keeps where a running attempt is, and its events (phase, progress, metrics) in their order.

        Callers send a few reports a second at most. Of a job with more than 2,000 events, progress and metrics are
        thinned (`writes.THINNING`), while the job itself always shows the newest progress.
        """
        if any(kind == "state" for kind, _ in events):
            raise ValueError("state events are written by the store alone")
        return self._apply(job_id, happenings.Reported(attempt, progress, links), events=events) is not None

    def commit(self, job_id: str, attempt: int) -> bool:
        """Whether the running attempt may register its version; noted, for whoever comes after it."""
        return self._apply(job_id, happenings.Committed(attempt)) is not None

    def succeed(
        self, job_id: str, attempt: int, result: dict[str, Any], links: dict[str, str] | None = None,
        announced: Sequence[tuple[WebhookEvent, Sequence[str]]] = (),
    ) -> Job | None:  # fmt: skip
        """The running attempt has done the job. It counts also where somebody asked it to stop a moment ago.

        `announced`: events with the webhooks that are to hear of them, stored in the same transaction.
        """
        return self._reported_job(job_id, happenings.Succeeded(attempt, result, links or {}), announced)

    # figures

    def counts(self) -> dict[str, int]:
        """The number of jobs in each status."""
        return self._database.read(queries.counts_by_status)

    def oldest_pending_s(self) -> float | None:
        """The age of the oldest pending job, in seconds."""
        created = self._database.read(queries.oldest_pending)
        return None if created is None else max(0.0, (self._clock() - created).total_seconds())

    def health(self) -> None:
        """Answers when the database does; else UnavailableError."""
        self._database.read(schema_version)

    def _apply(self, job_id: str, happening: Happening, *, events: Sequence[writes.Event] = ()) -> Life | None:
        now = self._clock()
        return self._database.write(
            lambda connection: writes.apply(connection, job_id, happening, now, events),
            repeatable=isinstance(happening, happenings.REPEATABLE),
        )

    def _changed_job(self, job_id: str, happening: Happening) -> Job:
        job = self._reported_job(job_id, happening)
        if job is None:
            raise AssertionError(f"{type(happening).__name__} carries no attempt and cannot be fenced out")
        return job

    def _reported_job(
        self, job_id: str, happening: Happening, announced: Sequence[tuple[WebhookEvent, Sequence[str]]] = ()
    ) -> Job | None:
        now = self._clock()

        def change(connection: Connection) -> Job | None:
            after = writes.apply(connection, job_id, happening, now)
            for event, webhooks in announced if after is not None else ():
                add_deliveries(connection, event, webhooks, now)
            return None if after is None else queries.get_job(connection, job_id)

        return self._database.write(change, repeatable=isinstance(happening, happenings.REPEATABLE))
