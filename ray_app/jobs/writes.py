"""How stored jobs change. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from ray_app.jobs.happenings import Happening
from ray_app.jobs.ids import checked_job_id, no_such_job
from ray_app.jobs.life import Life
from ray_app.jobs.model import EventType, Progress
from ray_app.jobs.rows import LIFE_COLUMNS, changed_columns, life_of
from ray_app.jobs.states import state_data, transition
from ray_app.jobs.tables import job_events, jobs

DENSE_EVENTS = 2000
"""All progress and metrics of a job are kept until it has so many events; from then on they are thinned."""
THINNING = 400
"""Once thinned, the newest report of each type is kept whenever 1/400 of the job's age has passed since the last one:
a job of a day keeps some 1,800 more. The job itself always shows the newest progress."""

Event = tuple[EventType, dict[str, Any]]

# built once: to put a statement together takes longer than to run it
_CHANGE = update(jobs).where(jobs.c.id == bindparam("of_job"))
# FOR UPDATE on PostgreSQL; on SQLite the transaction holds the lock already
_LOCKED = select(*LIFE_COLUMNS).where(jobs.c.id == bindparam("of_job")).with_for_update()
_NEW_EVENTS = insert(job_events)


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
