"""What is read from the job store. Each function runs in the caller's transaction."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from datetime import datetime
from itertools import product
from typing import Any, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    true,
    union_all,
)

from ray_app.jobs.ids import checked_job_id, is_job_id, no_such_job
from ray_app.jobs.life import FailureCounts
from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStatus
from ray_app.jobs.rows import JOB_COLUMNS, event_of, job_of
from ray_app.jobs.tables import job_events, job_specs, job_tags, jobs
from training.errors import SpecError

MAX_LISTED_SPEC_CHARS = 64 * 1024
"""A list leaves out larger specs, which carry tables of rows: a page of them would fill the memory."""

_KINDS: tuple[JobKind, ...] = get_args(JobKind)
# written out in the statement, because a database uses the partial index only where it sees the value
_IS_PENDING = jobs.c.status == bindparam(None, JobStatus.PENDING.value, literal_execute=True)


def _full_jobs(spec_condition: ColumnElement[bool] | None = None) -> Select[Any]:
    same = job_specs.c.job_id == jobs.c.id
    on = same if spec_condition is None else and_(same, spec_condition)
    return select(*JOB_COLUMNS).select_from(jobs.outerjoin(job_specs, on))


# built once: to put a statement together takes longer than to run it
_JOB = _full_jobs().where(jobs.c.id == bindparam("of_job"))
_EVENTS = (
    select(job_events)
    .where(job_events.c.job_id == bindparam("of_job"), job_events.c.seq > bindparam("after"))
    .order_by(job_events.c.seq)
    .limit(bindparam("up_to", type_=Integer))
)


def find_job(connection: Connection, job_id: str) -> Job | None:
    """The job, if it is stored."""
    row = connection.execute(_JOB, {"of_job": job_id}).mappings().one_or_none()
    return None if row is None else job_of(row)


def get_job(connection: Connection, job_id: str) -> Job:
    """The job, or NotFoundError."""
    job = find_job(connection, checked_job_id(job_id))
    if job is None:
        raise no_such_job(job_id)
    return job


def list_jobs(connection: Connection, query: JobQuery) -> JobPage:
    """A page, newest first.

    Costs a few index look-ups, however many jobs are stored: the cursor is the id of the last job seen, and every
    combination of status, kind and name is a set of ranges of one index. A tag together with another filter walks the
    jobs that have the tag.

    Raises:
        SpecError: the cursor is not one of ours.
    """
    before = None if query.cursor is None else _from_cursor(query.cursor)
    if any("\0" in text for text in (query.name, query.tag) if text):
        return JobPage(items=[])  # nothing stored has one, and PostgreSQL refuses to look
    found = connection.scalars(ids_statement(query, before, query.limit + 1)).all()
    ids = found[: query.limit]
    rows = connection.execute(
        _full_jobs(job_specs.c.size_chars <= MAX_LISTED_SPEC_CHARS).where(jobs.c.id.in_(ids)).order_by(jobs.c.id.desc())
    )
    return JobPage(
        items=[job_of(row) for row in rows.mappings()],
        next_cursor=_to_cursor(ids[-1]) if len(found) > query.limit else None,
    )


def ids_statement(query: JobQuery, before: str | None, limit: int) -> Select[Any]:
    """Selects the ids of a page; `before` is the last id of the page before it."""
    if query.tag is not None:
        return _tagged(query, query.tag, before, limit)
    if not (query.status or query.kind or query.name):
        return _newest(true(), before, limit)
    named = true() if query.name is None else jobs.c.name == query.name
    ranges = [
        _newest(and_(named, jobs.c.status == status.value, jobs.c.kind == kind), before, limit).subquery()
        for status, kind in product(_statuses(query), _kinds(query))
    ]
    merged = union_all(*(select(each.c.id) for each in ranges)).subquery()
    return select(merged.c.id).order_by(merged.c.id.desc()).limit(limit)


def pending_jobs(connection: Connection, limit: int, now: datetime, exclude: Collection[str] = ()) -> list[Job]:
    """Jobs that may be released now: by priority, then by age."""
    return [job_of(row) for row in connection.execute(pending_statement(limit, now, exclude)).mappings()]


def pending_statement(limit: int, now: datetime, exclude: Collection[str] = ()) -> Select[Any]:
    """Selects the head of the queue."""
    due = or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now)
    statement = _full_jobs().where(_IS_PENDING, due).order_by(jobs.c.priority.desc(), jobs.c.id).limit(limit)
    return statement.where(jobs.c.id.not_in(exclude)) if exclude else statement


def running_jobs(connection: Connection) -> list[Job]:
    """All running jobs, oldest first."""
    statement = _full_jobs().where(jobs.c.status == JobStatus.RUNNING.value).order_by(jobs.c.id)
    return [job_of(row) for row in connection.execute(statement).mappings()]


def job_event_list(connection: Connection, job_id: str, after: int, limit: int) -> list[JobEvent]:
    """Events with seq > after, in order."""
    values = {"of_job": checked_job_id(job_id), "after": after, "up_to": limit}
    found = [event_of(row) for row in connection.execute(_EVENTS, values).mappings()]
    if not found and connection.scalar(select(jobs.c.id).where(jobs.c.id == job_id)) is None:
        raise no_such_job(job_id)
    return found


def failure_counts(connection: Connection, job_id: str) -> FailureCounts:
    """How often the job has been requeued."""
    columns = select(jobs.c.user_failures, jobs.c.platform_failures, jobs.c.interruptions)
    row = connection.execute(columns.where(jobs.c.id == checked_job_id(job_id))).one_or_none()
    if row is None:
        raise no_such_job(job_id)
    return FailureCounts(*row)


def is_committed(connection: Connection, job_id: str) -> bool:
    """Whether an attempt was let register a version."""
    return bool(connection.scalar(select(jobs.c.committed).where(jobs.c.id == checked_job_id(job_id))))


def counts_by_status(connection: Connection) -> dict[str, int]:
    """The number of jobs in each status."""
    counted = connection.execute(select(jobs.c.status, func.count().label("stored")).group_by(jobs.c.status)).all()
    return {status.value: 0 for status in JobStatus} | {row.status: row.stored for row in counted}


def active_with_tag(connection: Connection, tag: str) -> int:
    """How many jobs that are not over have the tag: walks these, however many are over."""
    key, _, value = tag.partition("=")
    tagged = exists().where(job_tags.c.job_id == jobs.c.id, job_tags.c.key == key, job_tags.c.value == value)
    not_over = jobs.c.status.in_([JobStatus.PENDING.value, JobStatus.RUNNING.value])
    return connection.scalar(select(func.count()).select_from(jobs).where(not_over, tagged)) or 0


def oldest_pending(connection: Connection) -> datetime | None:
    """When the oldest pending job was created."""
    ranges = [
        select(jobs.c.id, jobs.c.created_at)
        .where(jobs.c.status == JobStatus.PENDING.value, jobs.c.kind == kind)
        .order_by(jobs.c.id)
        .limit(1)
        .subquery()
        for kind in _KINDS
    ]
    merged = union_all(*(select(each) for each in ranges)).subquery()
    created: datetime | None = connection.scalar(select(merged.c.created_at).order_by(merged.c.id).limit(1))
    return created


def _newest(condition: ColumnElement[bool], before: str | None, limit: int) -> Select[Any]:
    older = true() if before is None else jobs.c.id < before
    return select(jobs.c.id).where(condition, older).order_by(jobs.c.id.desc()).limit(limit)


def _tagged(query: JobQuery, tag: str, before: str | None, limit: int) -> Select[Any]:
    key, separator, value = tag.partition("=")
    statement = select(job_tags.c.job_id).where(job_tags.c.key == key)
    if separator:
        statement = statement.where(job_tags.c.value == value)
    if before is not None:
        statement = statement.where(job_tags.c.job_id < before)
    if query.status or query.kind or query.name:
        named = true() if query.name is None else jobs.c.name == query.name
        statement = statement.where(
            exists().where(
                jobs.c.id == job_tags.c.job_id, named, jobs.c.status.in_([status.value for status in _statuses(query)]),
                jobs.c.kind.in_(_kinds(query)),
            )
        )  # fmt: skip
    return statement.order_by(job_tags.c.job_id.desc()).limit(limit)


def _statuses(query: JobQuery) -> list[JobStatus]:
    return list(dict.fromkeys(query.status)) or list(JobStatus)


def _kinds(query: JobQuery) -> tuple[JobKind, ...]:
    return _KINDS if query.kind is None else (query.kind,)


def _to_cursor(job_id: str) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> str:
    try:
        job_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        job_id = ""
    if not is_job_id(job_id):
        raise SpecError.at("cursor", cursor, "is not the next_cursor of a list of jobs; leave it out to start anew")
    return job_id
