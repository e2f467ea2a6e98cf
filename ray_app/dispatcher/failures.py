"""From an exception to what the caller is told, and to what the retry policy knows."""

from __future__ import annotations

import re

from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    TaskUnschedulableError,
    WorkerCrashedError,
)  # fmt: skip

from ray_app.jobs.model import FieldProblem, JobError
from ray_app.jobs.retry_policy import NODE_LOST, OUT_OF_MEMORY, WORKER_LOST, Failure, FailureKind
from training.errors import TrainingError

INTERNAL_ERROR = "InternalError"
MAX_DETAIL_CHARS = 200


def raised(error: BaseException) -> Failure:
    """What a pipeline raised: our own errors as they are, others without their inside."""
    if isinstance(error, TrainingError):
        facts = error.details()
        problems = [FieldProblem(**problem.as_dict()) for problem in facts.problems]
        told = JobError(
            type=facts.type, message=facts.message, hint=facts.hint, retryable=facts.retryable, errors=problems
        )
        return Failure(FailureKind.RETRYABLE_ERROR if facts.retryable else FailureKind.USER_ERROR, told)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    message = f"the pipeline stopped with an unexpected {type(error).__name__}"
    return Failure(
        FailureKind.USER_ERROR, JobError(type=INTERNAL_ERROR, message=message, hint="the job's log has the details")
    )


def task_failed(error: BaseException | None, exit_detail: str) -> Failure:
    """What Ray says of a task that ended without an outcome.

    Args:
        error: Ray's exception; None where the function returned, or where Ray said nothing.
        exit_detail: Ray's account of how the process ended; "" if there is none.
    """
    match error:
        case OutOfMemoryError():
            return OUT_OF_MEMORY
        case NodeDiedError() | LocalRayletDiedError():
            return NODE_LOST
        case WorkerCrashedError():
            return _with_detail(WORKER_LOST, exit_detail)
        case TaskUnschedulableError():
            return _with_detail(NODE_LOST, "no node could take it")
        case None:
            return _with_detail(WORKER_LOST, "it ended without a result")
        case _:
            return _with_detail(WORKER_LOST, f"{type(error).__name__}: {error}")


def over_budget(budget_s: float, where: str) -> Failure:
    """The job's own time is over."""
    told = JobError(
        type="TimeBudgetError",
        message=f"time_budget_s: the {budget_s:g} s are over; the job was stopped in phase {where}",
        hint="give more time, fewer rows or a smaller model",
    )
    return Failure(FailureKind.TIMED_OUT, told)


def _with_detail(failure: Failure, detail: str) -> Failure:
    if not detail:
        return failure
    message = f"{failure.error.message}: {_short(detail)}"
    return Failure(failure.kind, failure.error.model_copy(update={"message": message}))


def _short(detail: str) -> str:
    """Ray's account without its general advice, which tells the reader of files that he cannot see."""
    code = re.search(r"exits with (?:an )?exit code (\d+)[.\s]*(?:The process receives a (\w+))?", detail)
    if code:
        return f"exit code {code[1]}" + (f" after {code[2]}" if code[2] else "")
    if "connection error code 2" in detail or "Socket closed" in detail:
        return "it was killed from outside (often for memory), left by itself, or crashed in native code"
    return detail.splitlines()[0][:MAX_DETAIL_CHARS]
