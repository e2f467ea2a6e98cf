"""How jobs are first stored. Each function runs in the caller's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from ray_app.jobs.database import to_json
from ray_app.jobs.life import Life
from ray_app.jobs.model import Job, JobKind
from ray_app.jobs.queries import find_job, get_job
from ray_app.jobs.states import state_data
from ray_app.jobs.tables import job_events, job_specs, job_tags, jobs
from training.errors import ConflictError, SpecError

MAX_TAGS = 64
MAX_TAG_KEY_CHARS = 100
MAX_TAG_VALUE_CHARS = 200
MAX_KEY_CHARS = 200

# built once: to put a statement together takes longer than to run it
_OF_KEY = select(jobs.c.id, jobs.c.kind, jobs.c.spec_hash).where(jobs.c.idempotency_key == bindparam("given"))
# answers the id where the job was stored, and nothing where its id or its key is there already
_NEW_JOB = {
    "sqlite": sqlite.insert(jobs).on_conflict_do_nothing().returning(jobs.c.id),
    "postgresql": postgresql.insert(jobs).on_conflict_do_nothing().returning(jobs.c.id),
}
_NEW_SPEC, _NEW_TAGS, _NEW_EVENT = (insert(table) for table in (job_specs, job_tags, job_events))


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


def insert_jobs(connection: Connection, new: Sequence[NewJob]) -> list[Job | ConflictError]:
    """Stores each job, or answers in its place the one that was stored before, or why it is refused."""
    answers: list[Job | ConflictError] = []
    for job in new:
        try:
            answers.append(_insert(connection, job))
        except ConflictError as error:
            # nothing of this one was written, and the others of the transaction have nothing to do with it
            answers.append(error)
    return answers


def _insert(connection: Connection, new: NewJob) -> Job:
    life = Life()
    values = {
        "id": new.id, "kind": new.kind, "name": new.name, "status": life.status.value, "priority": new.priority,
        "attempt": life.attempt, "released": life.released, "cancel_requested": life.cancel_requested,
        "user_failures": 0, "platform_failures": 0, "interruptions": 0, "event_count": 1, "created_at": new.created_at,
        "idempotency_key": new.idempotency_key, "spec_hash": new.spec_hash, "retry_of": new.retry_of, "tags": new.tags,
        "progress": life.progress.model_dump(mode="json"), "links": life.links,
    }  # fmt: skip
    if connection.scalar(_NEW_JOB[connection.dialect.name], values) is None:
        return _same(connection, new)
    text = to_json(new.spec)
    connection.execute(_NEW_SPEC, {"job_id": new.id, "size_chars": len(text), "spec": new.spec})
    if new.tags:
        rows = [{"job_id": new.id, "key": key, "value": value} for key, value in new.tags.items()]
        connection.execute(_NEW_TAGS, rows)
    first = {"job_id": new.id, "seq": 1, "type": "state", "time": new.created_at, "data": state_data(life)}
    connection.execute(_NEW_EVENT, first)
    return Job(
        id=new.id, kind=new.kind, name=new.name, status=life.status, spec=json.loads(text), tags=new.tags,
        created_at=new.created_at.astimezone(UTC), priority=new.priority, retry_of=new.retry_of,
    )  # fmt: skip


def _same(connection: Connection, new: NewJob) -> Job:
    """The job that was stored by an earlier try of the same transaction, or for the same idempotency key.

    Raises:
        ConflictError: the key came before with another spec.
    """
    by_id = find_job(connection, new.id)
    if by_id is not None:
        return by_id
    earlier = connection.execute(_OF_KEY, {"given": new.idempotency_key}).one()
    if (earlier.kind, earlier.spec_hash) != (new.kind, new.spec_hash):
        raise ConflictError.at(
            "Idempotency-Key", new.idempotency_key, f"came before, for job {earlier.id}, with another spec",
            hint="send a new key with a new spec",
        )  # fmt: skip
    return get_job(connection, earlier.id)


def _check_text(field: str, text: str, max_chars: int) -> None:
    if len(text) > max_chars:
        raise SpecError.at(field, text, f"is {len(text)} characters long; at most {max_chars}")
    if "\0" in text or not text.isprintable():
        raise SpecError.at(field, text, "has characters that cannot be shown, such as control characters")
