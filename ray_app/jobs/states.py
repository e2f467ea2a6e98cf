"""The states of a job, and the one function that changes them.

    PENDING ──> RUNNING ──> SUCCEEDED | FAILED | CANCELLED
       │ ^         │
       │ └─────────┘ requeued for another attempt
       └──> CANCELLED | FAILED

A job that is cancelled while one of its attempts may have registered a version has one more, which looks: what is
registered was done.

Final states never change. Each release of a job to the cluster is an attempt with its own number: what a process
reports counts only while its number is the job's and the attempt is not over, so a process that was given up for lost
can come back and do no harm.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import isfinite
from typing import Any, assert_never

from ray_app.jobs.happenings import (
    Assigned,
    Cancelled,
    CancelRequested,
    Committed,
    Failed,
    Happening,
    Reported,
    Requeued,
    Started,
    Succeeded,
    Waiting,
)
from ray_app.jobs.life import Life
from ray_app.jobs.model import JobError, JobStatus, Progress
from training.errors import ConflictError


def transition(life: Life, happening: Happening, now: datetime) -> Life | None:  # noqa: C901, PLR0911  a line a case
    """What becomes of a job: every change of every job goes through here.

    Returns:
        The new life; the same object where the job has heard it already (a report that is sent twice does no harm);
        None where the report is fenced out: it comes from an attempt that is not the job's, or is over.

    Raises:
        ConflictError: a job that is not PENDING cannot be released; a final one cannot be cancelled.
    """
    match happening:
        case Assigned():
            return _assigned(life)
        case Waiting(message):
            return _waiting(life, message)
        case Started(attempt):
            return _started(life, attempt, now)
        case Reported(attempt, progress, links):
            return _reported(life, attempt, progress, links)
        case Committed(attempt):
            return _committed(life, attempt)
        case Succeeded(attempt, result, links):
            return _succeeded(life, attempt, result, links, now)
        case Failed(attempt, error):
            return _failed(life, attempt, error, now)
        case Requeued():
            return _requeued(life, happening, now)
        case CancelRequested():
            return _cancel_requested(life, now)
        case Cancelled(attempt):
            return _cancelled(life, attempt, now)
        case _:
            assert_never(happening)


def state_data(life: Life) -> dict[str, Any]:
    """The data of a `state` event: enough for a follower to stop at a final one."""
    data: dict[str, Any] = {"status": life.status.value, "attempt": life.attempt}
    if life.cancel_requested:
        data["cancel_requested"] = True
    if life.status is JobStatus.PENDING and life.progress.message:
        data["reason"] = life.progress.message
    if life.not_before:
        data["not_before"] = life.not_before.isoformat()
    if life.error:
        data["error"] = life.error.model_dump(mode="json")
    return data


def _assigned(life: Life) -> Life:
    if life.status is not JobStatus.PENDING:
        raise ConflictError(f"the job is {life.status}; only a PENDING one can be released")
    return replace(life, attempt=life.attempt + 1, released=True, not_before=None)


def _waiting(life: Life, message: str) -> Life | None:
    if life.status is not JobStatus.PENDING:
        return None
    if life.progress.message == message:
        return life
    return replace(life, progress=life.progress.model_copy(update={"message": message}))


def _started(life: Life, attempt: int, now: datetime) -> Life | None:
    if not _is_out(life, attempt):
        return None
    if life.status is JobStatus.RUNNING:
        return life
    return replace(
        life, status=JobStatus.RUNNING, started_at=life.started_at or now, not_before=None,
        progress=Progress(phase="load"),
    )  # fmt: skip


def _reported(life: Life, attempt: int, progress: Progress | None, links: dict[str, str] | None) -> Life | None:
    if not _is_running(life, attempt):
        return None
    shown = life.progress if progress is None else _finite(progress)
    return replace(life, progress=shown, links=life.links | (links or {}))


def _committed(life: Life, attempt: int) -> Life | None:
    if not _is_running(life, attempt) or life.cancel_requested:
        return None
    return life if life.committed else replace(life, committed=True)


def _succeeded(
    life: Life, attempt: int, result: dict[str, Any], links: dict[str, str], now: datetime
) -> Life | None:  # fmt: skip
    if life.status is JobStatus.SUCCEEDED and life.attempt == attempt:
        return life
    if not _is_running(life, attempt):
        return None
    done = Progress(phase="done", fraction=1.0, metrics=life.progress.metrics)
    return _over(life, JobStatus.SUCCEEDED, now, result=result, links=life.links | links, progress=done)


def _failed(life: Life, attempt: int | None, error: JobError, now: datetime) -> Life | None:
    if life.status is JobStatus.FAILED and attempt in {None, life.attempt}:
        return life
    if life.status.final or (attempt is not None and not _is_out(life, attempt)):
        return None
    return _over(life, JobStatus.FAILED, now, error=error)


def _requeued(life: Life, happening: Requeued, now: datetime) -> Life | None:
    if not _is_out(life, happening.attempt):
        return None
    if life.cancel_requested and not life.committed:
        # nobody wants another attempt of a job that was asked to stop
        return _over(life, JobStatus.CANCELLED, now)
    return replace(
        life, status=JobStatus.PENDING, released=False, not_before=happening.not_before,
        failures=life.failures.after(happening.budget), progress=Progress(message=happening.reason),
    )  # fmt: skip


def _cancel_requested(life: Life, now: datetime) -> Life:
    if life.status.final:
        raise ConflictError(f"the job is {life.status} already", hint="a job that is over cannot be cancelled")
    if life.status is JobStatus.PENDING and not life.committed:
        return _over(replace(life, cancel_requested=True), JobStatus.CANCELLED, now)
    return life if life.cancel_requested else replace(life, cancel_requested=True)


def _cancelled(life: Life, attempt: int, now: datetime) -> Life | None:
    if life.status is JobStatus.CANCELLED and life.attempt == attempt:
        return life
    return _over(life, JobStatus.CANCELLED, now) if _is_out(life, attempt) else None


def _over(life: Life, status: JobStatus, now: datetime, **changes: Any) -> Life:
    stopped = life.progress.model_copy(update={"eta_s": None, "message": None})
    return replace(
        life, **({"progress": stopped} | changes), status=status, finished_at=now, released=False, not_before=None
    )  # fmt: skip


def _finite(progress: Progress) -> Progress:
    # a fit that diverges reports NaN, which JSON lacks
    return progress.model_copy(
        update={
            "fraction": min(max(progress.fraction, 0.0), 1.0) if isfinite(progress.fraction) else 0.0,
            "eta_s": progress.eta_s if progress.eta_s is not None and isfinite(progress.eta_s) else None,
            "metrics": {name: value for name, value in progress.metrics.items() if isfinite(value)},
        }
    )


def _is_out(life: Life, attempt: int) -> bool:
    return life.released and not life.status.final and life.attempt == attempt


def _is_running(life: Life, attempt: int) -> bool:
    return life.status is JobStatus.RUNNING and life.attempt == attempt
