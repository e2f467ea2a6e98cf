"""Whether a job whose attempt failed is tried again. The policy decides; only the dispatcher acts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ray_app.jobs.life import FailureBudget, FailureCounts
from ray_app.jobs.model import JobError


class FailureKind(StrEnum):
    """How an attempt ended without a result."""

    USER_ERROR = "user_error"
    """The pipeline raised an error that a second try would raise again."""
    RETRYABLE_ERROR = "retryable_error"
    """The pipeline raised an error that says it may pass, such as UnavailableError."""
    WORKER_LOST = "worker_lost"
    """The process died on a node that lives on."""
    OUT_OF_MEMORY = "out_of_memory"
    NODE_LOST = "node_lost"
    INTERRUPTED = "interrupted"
    """We restarted the dispatcher or the cluster under it."""
    TIMED_OUT = "timed_out"
    """The job's own time budget is over."""


# A dead process counts against the job: one that crashes a native library does so each time, after the whole fit.
_BUDGETS: dict[FailureKind, FailureBudget | None] = {
    FailureKind.USER_ERROR: None,
    FailureKind.TIMED_OUT: None,
    FailureKind.RETRYABLE_ERROR: "user",
    FailureKind.WORKER_LOST: "user",
    FailureKind.OUT_OF_MEMORY: "user",
    FailureKind.NODE_LOST: "platform",
    FailureKind.INTERRUPTED: "none",
}


@dataclass(frozen=True)
class Failure:
    """One failed attempt: its kind, and the true cause in words for the caller."""

    kind: FailureKind
    error: JobError


WORKER_LOST = Failure(
    FailureKind.WORKER_LOST,
    JobError(
        type="WorkerLostError",
        message="the process that did the job died",
        hint="a native library crashed or somebody killed it; the job's log has its last lines",
        retryable=True,
    ),
)
OUT_OF_MEMORY = Failure(
    FailureKind.OUT_OF_MEMORY,
    JobError(
        type="OutOfMemoryError",
        message="the job needed more memory than its node had",
        hint="reserve more with resources.memory_mb, or train on fewer rows or columns",
        retryable=True,
    ),
)
NODE_LOST = Failure(
    FailureKind.NODE_LOST,
    JobError(
        type="NodeLostError",
        message="the node that did the job went away",
        hint="see the cluster's own log; spot instances and node upgrades do this",
        retryable=True,
    ),
)
INTERRUPTED = Failure(
    FailureKind.INTERRUPTED,
    JobError(
        type="InterruptedError",
        message="the service was restarted while the job ran",
        hint="submit it again once the service stays up",
        retryable=True,
    ),
)

UNSETTLED = Failure(
    FailureKind.INTERRUPTED,
    JobError(
        type="InterruptedError",
        message="the process ended while it registered the version, and it is not known whether there is one",
        hint="look at the versions of the model",
        retryable=True,
    ),
)


@dataclass(frozen=True)
class RetryLimits:
    """Limits that the operator sets, not the spec."""

    platform: int = 10
    """Retries for failures that are the platform's fault; more cost money for a cluster that cannot hold the job."""
    interruptions: int = 50
    """Restarts of ours that a job survives; a cap only against a job that takes the service down with it."""
    first_delay_s: float = 1.0
    """Back-off before the first retry; it doubles with each further one."""
    max_delay_s: float = 60.0


@dataclass(frozen=True)
class Retry:
    """Requeue the job."""

    count: FailureBudget
    not_before: datetime | None
    reason: str
    """For people: what failed and which retry this is."""


@dataclass(frozen=True)
class GiveUp:
    """The job has failed."""

    error: JobError


Decision = Retry | GiveUp
DEFAULT_LIMITS = RetryLimits()
DEFAULT_RETRIES = 2
"""Of a job whose spec has no `max_retries`, such as an evaluation."""


def decide(
    failure: Failure,
    counts: FailureCounts,
    *,
    max_retries: int,
    job_id: str,
    now: datetime,
    limits: RetryLimits = DEFAULT_LIMITS,
) -> Decision:
    """Decides on one failed attempt; a pure function of its arguments.

    Failures of the job's own making (retryable errors, dead processes, memory) are counted against the spec's
    `max_retries`, lost nodes against the platform's limit, and our own restarts against neither.

    Args:
        failure: how the attempt ended.
        counts: the retries so far.
        max_retries: of the spec.
        job_id: seeds the jitter, so that jobs that failed together do not come back together.
        now: the back-off starts here.
        limits: of the operator.
    """
    budget = _BUDGETS[failure.kind]
    if budget is None:
        return GiveUp(failure.error)
    used, allowed = {
        "user": (counts.user, max_retries),
        "platform": (counts.platform, limits.platform),
        "none": (counts.interruptions, limits.interruptions),
    }[budget]
    if used >= allowed:
        return GiveUp(_after_retries(failure.error, used))
    reason = f"{failure.error.message} (retry {used + 1} of {allowed})"
    if budget == "none":
        return Retry(budget, None, reason)
    return Retry(budget, now + timedelta(seconds=back_off_s(used + 1, job_id, limits)), reason)


def back_off_s(retry: int, job_id: str, limits: RetryLimits = DEFAULT_LIMITS) -> float:
    """Seconds before retry number `retry` (from 1): doubling, capped, times a jitter in [0.5, 1) drawn by the id."""
    delay_s = min(limits.max_delay_s, limits.first_delay_s * 2.0 ** min(retry - 1, 60))
    digest = hashlib.sha256(f"{job_id}:{retry}".encode()).digest()
    return delay_s * (0.5 + int.from_bytes(digest[:6]) / 2**49)


def _after_retries(error: JobError, retries: int) -> JobError:
    if retries == 0:
        return error
    times = "1 retry" if retries == 1 else f"{retries} retries"
    return error.model_copy(update={"message": f"{error.message}; gave up after {times}"})
