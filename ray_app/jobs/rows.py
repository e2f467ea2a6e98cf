"""Between rows of the tables and what the rest of the program works with."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, RowMapping

from ray_app.jobs.life import FailureCounts, Life
from ray_app.jobs.model import Job, JobError, JobEvent, JobStatus, Progress
from ray_app.jobs.tables import job_specs, jobs

_JOB_COLUMNS = [jobs.c[name] for name in Job.model_fields if name != "spec"]
JOB_COLUMNS: list[ColumnElement[Any]] = [*_JOB_COLUMNS, job_specs.c.spec]
"""What `job_of` needs."""

_COUNT_COLUMNS = {"user": "user_failures", "platform": "platform_failures", "interruptions": "interruptions"}
_PLAIN = [
    field.name for field in fields(Life) if field.name not in {"status", "failures", "progress", "error", "result"}
]
LIFE_COLUMNS = [
    *(jobs.c[name] for name in [*_PLAIN, *_COUNT_COLUMNS.values(), "status", "progress", "error"]),
    jobs.c.event_count,
    jobs.c.created_at,
]
"""What `life_of` needs, and the columns that place a new event. No result: only a final job has one."""


def job_of(row: RowMapping) -> Job:
    """A job; one whose spec was left out by a list says so in its place."""
    values = dict(row)
    if values["spec"] is None:
        values["spec"] = {"name": row["name"], "omitted": f"too large for a list; GET /jobs/{row['id']} has it"}
    return Job.model_validate(values)


def event_of(row: RowMapping) -> JobEvent:
    """An event."""
    return JobEvent(seq=row["seq"], type=row["type"], time=row["time"], data=row["data"])


def life_of(row: RowMapping) -> Life:
    """The part of a job that changes."""
    return Life(
        **{name: row[name] for name in _PLAIN},
        status=JobStatus(row["status"]),
        failures=FailureCounts(**{count: row[column] for count, column in _COUNT_COLUMNS.items()}),
        progress=Progress.model_validate(row["progress"]),
        error=None if row["error"] is None else JobError.model_validate(row["error"]),
    )


def changed_columns(before: Life, after: Life) -> dict[str, Any]:
    """The columns to write, as they are stored."""
    changed = [field.name for field in fields(Life) if getattr(before, field.name) != getattr(after, field.name)]
    columns: dict[str, Any] = {}
    for name in changed:
        value = getattr(after, name)
        if name == "failures":
            columns |= {column: getattr(value, count) for count, column in _COUNT_COLUMNS.items()}
        else:
            columns[name] = _stored(value)
    return columns


def _stored(value: Any) -> Any:
    if isinstance(value, JobStatus):
        return value.value
    return value.model_dump(mode="json") if isinstance(value, Progress | JobError) else value
