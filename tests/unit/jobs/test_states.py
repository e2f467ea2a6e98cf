"""The transition function, driven by any sequence of happenings."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.jobs import happenings
from ray_app.jobs.life import Life
from ray_app.jobs.model import JobError, JobStatus, Progress
from ray_app.jobs.states import state_data, transition
from training.errors import ConflictError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ERROR = JobError(type="FitError", message="diverged")
LEGAL = {
    JobStatus.PENDING: {JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED},
    JobStatus.RUNNING: {JobStatus.PENDING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED},
}

attempts = st.integers(0, 4)
any_happening = st.one_of(
    st.builds(happenings.Assigned),
    st.builds(happenings.Waiting, st.text(max_size=3)),
    st.builds(happenings.Started, attempts),
    st.builds(happenings.Reported, attempts, st.builds(Progress, fraction=st.floats(), eta_s=st.none() | st.floats())),
    st.builds(happenings.Committed, attempts),
    st.builds(happenings.Succeeded, attempts, st.just({"x": 1}), st.just({"mlflow": "m"})),
    st.builds(happenings.Failed, st.none() | attempts, st.just(ERROR)),
    st.builds(happenings.Requeued, attempts, st.just("r"), st.none(), st.sampled_from(["user", "platform", "none"])),
    st.builds(happenings.CancelRequested),
    st.builds(happenings.Cancelled, attempts),
)


@given(st.lists(any_happening, max_size=30))
def test_whatever_happens_the_life_of_a_job_is_legal(sequence: list[happenings.Happening]) -> None:
    life = Life()
    for second, happening in enumerate(sequence):
        now = NOW + timedelta(seconds=second)
        try:
            after = transition(life, happening, now)
        except ConflictError:
            assert life.status is not JobStatus.PENDING
            continue
        if after is None:
            continue
        if life.status.final:
            assert after is life, "a final job never changes"
        if after.status is not life.status:
            assert after.status in LEGAL[life.status]
        assert after.attempt == life.attempt + isinstance(happening, happenings.Assigned)
        assert after.status.final == (after.finished_at is not None)
        assert after.released or after.status is not JobStatus.RUNNING
        assert (after.error is not None) == (after.status is JobStatus.FAILED)
        assert (after.result is not None) == (after.status is JobStatus.SUCCEEDED)
        assert 0 <= after.progress.fraction <= 1
        assert after.progress.eta_s is None or math.isfinite(after.progress.eta_s)
        life = after


def life_after(life: Life, happening: happenings.Happening) -> Life:
    """What it is then; what a job refuses, or what is fenced out, leaves it as it is."""
    try:
        return transition(life, happening, NOW) or life
    except ConflictError:
        return life


@given(st.lists(any_happening, max_size=20), any_happening)
def test_a_repeatable_happening_twice_is_the_same_as_once(
    sequence: list[happenings.Happening], last: happenings.Happening
) -> None:  # fmt: skip
    life = Life()
    for happening in sequence:
        life = life_after(life, happening)
    if isinstance(last, happenings.Assigned) or not isinstance(last, happenings.REPEATABLE):
        return
    once = transition(life, last, NOW)
    if once is not None:
        assert transition(once, last, NOW + timedelta(seconds=1)) is once


@pytest.mark.parametrize("started", [True, False])
def test_after_a_requeue_the_lost_attempt_is_heard_no_more(*, started: bool) -> None:
    lost = 3
    status = JobStatus.RUNNING if started else JobStatus.PENDING
    out = replace(Life(), attempt=lost, released=True, status=status)
    requeued = transition(out, happenings.Requeued(lost, "lost", None, "platform"), NOW)
    assert requeued is not None
    for late in (
        happenings.Started(lost),
        happenings.Reported(lost),
        happenings.Succeeded(lost, {}, {}),
        happenings.Failed(lost, ERROR),
        happenings.Cancelled(lost),
        happenings.Requeued(lost, "again", None, "user"),
    ):
        assert transition(requeued, late, NOW) is None


@pytest.mark.parametrize("attempt", [None, 0])
def test_a_job_that_never_ran_can_be_given_up_but_by_no_attempt(attempt: int | None) -> None:
    after = transition(Life(), happenings.Failed(attempt, ERROR), NOW)
    assert (after is None) == (attempt is not None)


def test_the_state_event_of_a_failure_carries_its_cause() -> None:
    after = transition(Life(), happenings.Failed(None, ERROR), NOW)
    assert after is not None
    data = state_data(after)
    assert data["status"] == "FAILED"
    assert data["error"]["message"] == "diverged"


def test_the_state_event_of_a_requeue_says_why_and_until_when() -> None:
    later = NOW + timedelta(seconds=8)
    released = transition(Life(), happenings.Assigned(), NOW)
    assert released is not None
    after = transition(released, happenings.Requeued(1, "the node went away", later, "platform"), NOW)
    assert after is not None
    assert state_data(after) == {
        "status": "PENDING", "attempt": 1, "reason": "the node went away", "not_before": later.isoformat(),
    }  # fmt: skip
