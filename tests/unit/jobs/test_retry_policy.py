from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.jobs.life import FailureCounts
from ray_app.jobs.model import JobError
from ray_app.jobs.retry_policy import (
    INTERRUPTED,
    NODE_LOST,
    OUT_OF_MEMORY,
    WORKER_LOST,
    Failure,
    FailureKind,
    GiveUp,
    Retry,
    RetryLimits,
    back_off_s,
    decide,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
AWAY = Failure(
    FailureKind.RETRYABLE_ERROR, JobError(type="UnavailableError", message="the registry is away", retryable=True)
)  # fmt: skip
BAD_TARGET = Failure(FailureKind.USER_ERROR, JobError(type="DataError", message="data.target: one class only"))
TOO_LATE = Failure(FailureKind.TIMED_OUT, JobError(type="TimeBudgetError", message="time_budget_s is over"))


def decided(failure: Failure, max_retries: int = 2, **counts: int) -> Any:
    return decide(failure, FailureCounts(**counts), max_retries=max_retries, job_id="job_x", now=NOW)


@pytest.mark.parametrize("failure", [BAD_TARGET, TOO_LATE])
def test_what_cannot_pass_is_never_retried(failure: Failure) -> None:
    assert decided(failure, max_retries=100) == GiveUp(failure.error)


@pytest.mark.parametrize("failure", [AWAY, WORKER_LOST, OUT_OF_MEMORY])
def test_the_spec_limits_what_the_job_may_have_caused(failure: Failure) -> None:
    first = decided(failure, platform=9, interruptions=49)
    assert isinstance(first, Retry)
    assert first.count == "user"
    assert first.reason == f"{failure.error.message} (retry 1 of 2)"
    last = decided(failure, user=2)
    assert isinstance(last, GiveUp)
    assert last.error.message == f"{failure.error.message}; gave up after 2 retries"
    assert (last.error.type, last.error.hint) == (failure.error.type, failure.error.hint), "the true cause"


def test_without_retries_the_error_is_as_it_was() -> None:
    assert decided(AWAY, max_retries=0) == GiveUp(AWAY.error)


def test_lost_nodes_have_their_own_limit() -> None:
    assert decided(NODE_LOST, max_retries=0, user=5, platform=9).count == "platform"
    assert "gave up after 10 retries" in decided(NODE_LOST, platform=10).error.message


def test_our_own_restarts_cost_the_job_nothing_but_are_capped() -> None:
    again = decided(INTERRUPTED, max_retries=0, user=5, platform=10, interruptions=49)
    assert (again.count, again.not_before) == ("none", None)
    assert isinstance(decided(INTERRUPTED, interruptions=50), GiveUp)


def test_the_back_off_doubles_up_to_its_limit_and_is_the_same_each_time() -> None:
    limits = RetryLimits(first_delay_s=1.0, max_delay_s=60.0)
    delays_s = [back_off_s(retry, "job_x", limits) for retry in range(1, 101)]
    for retry, delay_s in enumerate(delays_s):
        whole_s = min(60.0, 2.0**retry)
        assert whole_s / 2 <= delay_s < whole_s
    assert delays_s == [back_off_s(retry, "job_x", limits) for retry in range(1, 101)]
    assert decided(AWAY, user=1).not_before == NOW + timedelta(seconds=delays_s[1])


def test_jobs_that_failed_together_come_back_apart() -> None:
    assert len({back_off_s(1, f"job_{number}") for number in range(100)}) == 100


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_of_failure_has_a_decision(kind: FailureKind) -> None:
    assert isinstance(decided(Failure(kind, AWAY.error)), Retry | GiveUp)
