"""What is written to the job store. Each function runs in the caller's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from ray_app.jobs.database import to_json
from ray_app.jobs.happenings import Happening
from ray_app.jobs.ids import checked_job_id, no_such_job
from ray_app.jobs.life import Life
from ray_app.jobs.model import EventType, Job, JobKind, Progress
from ray_app.jobs.queries import find_job, get_job
from ray_app.jobs.rows import LIFE_COLUMNS, changed_columns, life_of
from ray_app.jobs.states import state_data, transition
from ray_app.jobs.tables import job_events, job_specs, job_tags, jobs
from training.errors import ConflictError, SpecError

MAX_TAGS = 64
MAX_TAG_KEY_CHARS = 100
MAX_TAG_VALUE_CHARS = 200
MAX_KEY_CHARS = 200

DENSE_EVENTS = 2000
"""All progress and metrics of a job are kept until it has so many events; from then on they are thinned."""
THINNING = 400
"""Once thinned, the newest report of each type is kept whenever 1/400 of the job's age has passed since the last one:
a job of a day keeps some 1,800 more. The job itself always shows the newest progress."""

Event = tuple[EventType, dict[str, Any]]

# built once: to put a statement together takes longer than to run it
_OF_KEY = select(jobs.c.id, jobs.c.kind, jobs.c.spec_hash).where(jobs.c.idempotency_key == bindparam("given"))
_CHANGE = update(jobs).where(jobs.c.id == bindparam("of_job"))
# FOR UPDATE on PostgreSQL; on SQLite the transaction holds the lock already
_LOCKED = select(*LIFE_COLUMNS).where(jobs.c.id == bindparam("of_job")).with_for_update()
_NEW_JOB, _NEW_SPEC, _NEW_TAGS, _NEW_EVENTS = (insert(table) for table in (jobs, job_specs, job_tags, job_events))


@dataclass(frozen=True)
class NewJob:
    """A job to be stored."""

    id: str
    kind: JobKind
    name: str
    spec: dict[str, Any]
    priority: int
    tags: dict[str, str]
    idempotency_key: str | None
    retry_of: str | None
    created_at: datetime

    def __post_init__(self) -> None:
        """Refuses what a database could not hold or look up."""
        if self.idempotency_key is not None:
            _check_text("Idempotency-Key", self.idempotency_key, MAX_KEY_CHARS)
        if len(self.tags) > MAX_TAGS:
            raise SpecError.at("tags", len(self.tags), f"at most {MAX_TAGS} tags")
        for key, value in self.tags.items():
            _check_text(f"tags.{key}", key, MAX_TAG_KEY_CHARS)
            _check_text(f"tags.{key}", value, MAX_TAG_VALUE_CHARS)
            if not key or "=" in key:
                raise SpecError.at(f"tags.{key}", key, "the name of a tag is not empty and has no =")

    @property
    def spec_hash(self) -> str:
        """Equal for equal specs, whatever the order of their fields."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()


def find_same(connection: Connection, new: NewJob) -> Job | None:
    """The job that was stored for the same idempotency key, or by an earlier try of the same transaction.

    Raises:
        ConflictError: the key came before with another spec.
    """
    by_id = find_job(connection, new.id)
    if by_id is not None or new.idempotency_key is None:
        return by_id
    earlier = connection.execute(_OF_KEY, {"given": new.idempotency_key}).one_or_none()
    if earlier is None:
        return None
    if (earlier.kind, earlier.spec_hash) != (new.kind, new.spec_hash):
        raise ConflictError.at(
            "Idempotency-Key", new.idempotency_key, f"came before, for job {earlier.id}, with another spec",
            hint="send a new key with a new spec",
        )  # fmt: skip
    return get_job(connection, earlier.id)


def insert_job(connection: Connection, new: NewJob) -> Job:
    """Stores the job with its first event, or answers the one that `find_same` finds."""
    same = find_same(connection, new)
    if same is not None:
        return same
    life = Life()
    values = {
        "id": new.id, "kind": new.kind, "name": new.name, "status": life.status.value, "priority": new.priority,
        "attempt": life.attempt, "released": life.released, "cancel_requested": life.cancel_requested,
        "user_failures": 0, "platform_failures": 0, "interruptions": 0, "event_count": 1, "created_at": new.created_at,
        "idempotency_key": new.idempotency_key, "spec_hash": new.spec_hash, "retry_of": new.retry_of, "tags": new.tags,
        "progress": life.progress.model_dump(mode="json"), "links": life.links,
    }  # fmt: skip
    connection.execute(_NEW_JOB, values)
    size_chars = len(to_json(new.spec))
    connection.execute(_NEW_SPEC, {"job_id": new.id, "size_chars": size_chars, "spec": new.spec})
    if new.tags:
        rows = [{"job_id": new.id, "key": key, "value": value} for key, value in new.tags.items()]
        connection.execute(_NEW_TAGS, rows)
    _insert_events(connection, new.id, 1, [("state", state_data(life))], new.created_at)
    return get_job(connection, new.id)


def apply(
    connection: Connection, job_id: str, happening: Happening, now: datetime, events: Sequence[Event] = ()
) -> Life | None:
    """Changes a job by the transition function, and writes what it became together with its events.

    Returns:
        What the job is now; None where the report was fenced out, and nothing was written.

    Raises:
        NotFoundError: no such job.
        ConflictError: see `states.transition`.
    """
    row = _locked(connection, job_id)
    before = life_of(row)
    after = transition(before, happening, now)
    if after is None:
        return None
    columns = changed_columns(before, after)
    kept = _thinned(connection, job_id, row, events, now)
    if (before.status, before.cancel_requested) != (after.status, after.cancel_requested):
        kept.append(("state", state_data(after)))
    if kept:
        columns["event_count"] = row["event_count"] + len(kept)
        _insert_events(connection, job_id, row["event_count"] + 1, kept, now)
    if columns:
        connection.execute(_CHANGE, columns | {"of_job": job_id})
    return after


def progress_event(progress: Progress) -> Event:
    """The event that tells followers the same as the job's progress."""
    return "progress", progress.model_dump(mode="json", exclude_none=True)


def _locked(connection: Connection, job_id: str) -> RowMapping:
    row = connection.execute(_LOCKED, {"of_job": checked_job_id(job_id)}).mappings().one_or_none()
    if row is None:
        raise no_such_job(job_id)
    return row


def _thinned(
    connection: Connection, job_id: str, row: RowMapping, events: Sequence[Event], now: datetime
) -> list[Event]:  # fmt: skip
    dense_left = DENSE_EVENTS - row["event_count"]
    if len(events) <= dense_left:
        return list(events)
    spacing: timedelta = (now - row["created_at"]) / THINNING
    last = connection.scalar(
        select(job_events.c.time).where(job_events.c.job_id == job_id, job_events.c.seq == row["event_count"])
    )
    due = last is None or now - last >= spacing
    newest = {kind: index for index, (kind, _) in enumerate(events)}
    kept: list[Event] = []
    for index, (kind, data) in enumerate(events):
        always = kind in {"state", "phase"}
        if always or len(kept) < dense_left or (due and newest[kind] == index):
            kept.append((kind, data))
    return kept


def _insert_events(
    connection: Connection, job_id: str, first_seq: int, events: Sequence[Event], now: datetime
) -> None:  # fmt: skip
    rows = [
        {"job_id": job_id, "seq": seq, "type": kind, "time": now, "data": data}
        for seq, (kind, data) in enumerate(events, start=first_seq)
    ]
    connection.execute(_NEW_EVENTS, rows)


def _check_text(field: str, text: str, max_chars: int) -> None:
    if len(text) > max_chars:
        raise SpecError.at(field, text, f"is {len(text)} characters long; at most {max_chars}")
    if "\0" in text or not text.isprintable():
        raise SpecError.at(field, text, "has characters that cannot be shown, such as control characters")
