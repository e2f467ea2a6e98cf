"""The control loop, stepped by hand: a real job store, a cluster that runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import HERE, FakeCluster
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from ray_app.dispatcher.capacity import Room
from ray_app.dispatcher.controller import Action, Controller
from ray_app.dispatcher.failures import raised
from ray_app.dispatcher.flights import (
    BUDGET_GRACE_S,
    BUDGET_GRACE_SHARE,
    CANCEL_GRACE_S,
    COMMIT_GRACE_S,
    KILL_TIMEOUT_S,
)  # fmt: skip
from ray_app.dispatcher.messages import Broken, Done, Report, Stopped, TaskEnd
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job, Progress
from ray_app.jobs.store import JobStore
from training.errors import ConflictError, DataError, ResourceError, UnavailableError

LAST = Report(Progress(phase="register"))
RESULT = Done({"run_id": "r", "timings": {"fit_s": 1.0}})


class House:
    """A controller and all around it; `restart` puts a new one over the same store."""

    def __init__(self, url: str, folder: Path) -> None:
        self.seconds = 1000.0
        self.start = datetime(2026, 1, 2, tzinfo=UTC)
        self.store = JobStore(url, clock=self.now)
        self.logs = JobLogs(folder)
        self.cluster = FakeCluster()
        self.heard: list[str] = []
        self.restart()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def restart(self) -> list[Action]:
        self.cluster.submitted.clear()
        self.controller = Controller(
            self.store, self.cluster, self.logs, release_ahead=2, changed=lambda job_id, _: self.heard.append(job_id),
            clock=lambda: self.seconds, now=self.now,
        )  # fmt: skip
        self.attempts = self.controller.attempts
        return self.controller.reconcile()

    def submit(self, **spec: Any) -> str:
        job, new = self.controller.submit("train", {"name": "credit", "max_retries": 1, **spec}, None)
        assert new
        return job.id

    def step(self, after_s: float = 0.0) -> list[tuple[str, str]]:
        self.seconds += after_s
        return [(action.what, action.job_id) for action in self.controller.step()]

    def begun(self, **spec: Any) -> str:
        job_id = self.submit(**spec)
        self.step()
        assert self.attempts.begin(job_id, 1, HERE)
        return job_id

    def get(self, job_id: str) -> Job:
        return self.store.get(job_id)


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(sqlite_url, tmp_path / "logs")
    yield house
    house.store.close()


def test_a_job_from_submission_to_result(house: House) -> None:
    job_id = house.submit()
    assert house.step() == [("released", job_id)]
    assert house.get(job_id).status == "PENDING"
    house.seconds += 2
    assert house.attempts.begin(job_id, 1, HERE)
    assert house.get(job_id).status == "RUNNING"
    assert house.attempts.report(job_id, 1, Report(Progress(phase="fit", fraction=0.5), (("phase", {"phase": "fit"}),)))
    house.attempts.finish(job_id, 1, RESULT, LAST)
    done = house.get(job_id)
    assert done.status == "SUCCEEDED"
    assert done.result == {"run_id": "r", "timings": {"queue_s": 2.0, "fit_s": 1.0}}
    house.controller.task_ended(TaskEnd(job_id, 1))
    assert house.step() == []
    assert set(house.heard) == {job_id}


def test_jobs_go_by_priority_then_age_and_the_rest_wait_here(house: House) -> None:
    low, *middle, high = [house.submit(priority=priority) for priority in (-1, 0, 0, 0, 0, 5)]
    assert house.step() == [("released", job_id) for job_id in (high, *middle[:3])]
    assert house.step() == []
    house.attempts.begin(high, 1, HERE)
    house.attempts.finish(high, 1, RESULT, LAST)
    assert house.step() == [("released", middle[3])]
    assert house.get(low).attempt == 0


def test_the_task_asks_for_what_the_spec_asks_for(house: House) -> None:
    job_id = house.submit(resources={"cpus_per_worker": 2})
    house.step()
    [assignment] = house.cluster.submitted
    assert assignment.demand.cpus == 2
    assert assignment.task_name == f"train:credit:{job_id}"


def test_what_never_fits_is_not_stored(house: House) -> None:
    with pytest.raises(ResourceError):
        house.submit(resources={"cpus_per_worker": 64})
    assert house.store.counts()["PENDING"] == 0


def test_a_job_that_the_cluster_cannot_hold_any_more_waits_and_says_so(house: House) -> None:
    job_id = house.submit(resources={"cpus_per_worker": 2})
    house.cluster.nodes = (Room(cpus=1),)
    house.step()
    assert house.step(after_s=3) == [("told", job_id)]
    assert "asks for 2 CPUs on one node; the largest node has 1" in str(house.get(job_id).progress.message)
    assert house.step(after_s=3) == []


def test_a_job_that_was_only_released_never_runs_once_cancelled(house: House) -> None:
    job_id = house.submit()
    house.step()
    assert house.controller.cancel(job_id).status == "CANCELLED"
    assert house.cluster.taken_back == [job_id]
    # the task had left already when it was taken back
    assert not house.attempts.begin(job_id, 1, HERE)
    assert house.get(job_id).started_at is None


def test_a_running_job_may_stop_by_itself(house: House) -> None:
    job_id = house.begun()
    assert house.controller.cancel(job_id).status == "RUNNING"
    assert not house.attempts.wanted(job_id, 1)
    assert not house.attempts.report(job_id, 1, LAST)
    house.attempts.finish(job_id, 1, Stopped(), LAST)
    assert house.get(job_id).status == "CANCELLED"
    assert house.cluster.killed == []


def test_a_job_that_does_not_stop_is_killed(house: House) -> None:
    job_id = house.begun()
    house.controller.cancel(job_id)
    house.controller.cancel(job_id)
    assert house.step(after_s=CANCEL_GRACE_S - 0.1) == []
    assert house.step(after_s=0.1) == [("killed", job_id)]
    assert house.cluster.killed == [job_id]
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    assert house.step() == [("settled", job_id)]
    assert house.get(job_id).status == "CANCELLED"
    assert house.cluster.tidied == [job_id]


def test_a_killed_job_is_over_even_if_the_cluster_says_nothing(house: House) -> None:
    job_id = house.begun()
    house.controller.cancel(job_id)
    house.step(after_s=CANCEL_GRACE_S)
    assert house.step(after_s=KILL_TIMEOUT_S + 0.1) == [("gave up", job_id)]
    assert house.get(job_id).status == "CANCELLED"


def test_a_job_that_is_registering_gets_the_time_to_finish(house: House) -> None:
    job_id = house.begun()
    assert house.attempts.may_commit(job_id, 1)
    house.controller.cancel(job_id)
    assert house.step(after_s=COMMIT_GRACE_S - 1) == []
    house.attempts.finish(job_id, 1, RESULT, LAST)
    assert house.get(job_id).status == "SUCCEEDED"


def test_a_cancelled_job_may_not_register(house: House) -> None:
    job_id = house.begun()
    house.controller.cancel(job_id)
    assert not house.attempts.may_commit(job_id, 1)


def test_a_time_budget_ends_a_job_with_a_clear_message(house: House) -> None:
    job_id = house.begun(time_budget_s=100)
    house.attempts.report(job_id, 1, Report(Progress(phase="evaluate")))
    assert house.step(after_s=100 + BUDGET_GRACE_S + BUDGET_GRACE_SHARE * 100 - 1) == []
    assert house.step(after_s=1) == [("killed", job_id)]
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    house.step()
    failed = house.get(job_id)
    assert failed.status == "FAILED"
    assert failed.error is not None
    assert failed.error.message == "time_budget_s: the 100 s are over; the job was stopped in phase evaluate"


def test_the_time_budget_is_of_the_job_not_of_the_attempt(house: House) -> None:
    job_id = house.begun(time_budget_s=100)
    house.seconds += 90
    house.attempts.finish(job_id, 1, Broken(raised(UnavailableError("away"))), LAST)
    assert house.step(after_s=2) == [("released", job_id)]
    assert house.attempts.begin(job_id, 2, HERE)
    assert house.step(after_s=8 + BUDGET_GRACE_S + BUDGET_GRACE_SHARE * 100) == [("killed", job_id)]


def test_an_error_of_the_callers_is_final(house: House) -> None:
    job_id = house.begun()
    error = DataError.at("data.target", "defualt", "no such column", hint="see the header")
    house.attempts.finish(job_id, 1, Broken(raised(error)), LAST)
    failed = house.get(job_id)
    assert failed.status == "FAILED"
    assert failed.error is not None
    assert (failed.error.type, failed.error.hint) == ("DataError", "see the header")
    assert failed.error.errors[0].field == "data.target"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WorkerCrashedError(), "WorkerLostError"),
        (OutOfMemoryError("killed"), "OutOfMemoryError"),
        (None, "WorkerLostError"),
    ],
)
def test_a_lost_process_is_tried_again_then_given_up(house: House, error: Exception | None, kind: str) -> None:
    job_id = house.begun()
    for attempt in (1, 2):
        house.controller.task_ended(TaskEnd(job_id, attempt, error))
        house.step()
        if attempt == 1:
            assert house.get(job_id).status == "PENDING"
            assert house.step(after_s=5) == [("released", job_id)]
            assert house.attempts.begin(job_id, 2, HERE)
    failed = house.get(job_id)
    assert failed.status == "FAILED"
    assert failed.error is not None
    assert failed.error.type == kind
    assert failed.error.message.endswith("gave up after 1 retry")


def test_a_lost_node_is_not_the_jobs_fault(house: House) -> None:
    job_id = house.begun(max_retries=0)
    house.controller.task_ended(TaskEnd(job_id, 1, NodeDiedError("gone")))
    house.step()
    assert house.get(job_id).status == "PENDING"


def test_the_true_cause_reaches_the_caller(house: House) -> None:
    house.cluster.detail = "Worker exits with an exit code 1. The process receives a SIGTERM."
    job_id = house.begun(max_retries=0)
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    house.step()
    error = house.get(job_id).error
    assert error is not None
    assert error.message == "the process that did the job died: exit code 1 after SIGTERM"


def test_a_process_that_was_given_up_changes_nothing_when_it_comes_back(house: House) -> None:
    job_id = house.begun()
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    house.step()
    house.step(after_s=5)
    assert house.attempts.begin(job_id, 2, HERE)
    before = house.get(job_id)
    assert not house.attempts.begin(job_id, 1, HERE)
    assert not house.attempts.report(job_id, 1, LAST)
    assert not house.attempts.may_commit(job_id, 1)
    house.attempts.finish(job_id, 1, RESULT, LAST)
    house.attempts.finish(job_id, 1, Broken(raised(DataError("late"))), LAST)
    house.controller.task_ended(TaskEnd(job_id, 1, None))
    assert house.step() == []
    assert house.get(job_id) == before
    assert house.attempts.may_commit(job_id, 2)


def test_saying_the_outcome_twice_does_no_harm(house: House) -> None:
    job_id = house.begun()
    house.attempts.finish(job_id, 1, RESULT, LAST)
    done = house.get(job_id)
    house.attempts.finish(job_id, 1, RESULT, LAST)
    assert house.get(job_id) == done


def test_a_new_dispatcher_carries_on(house: House) -> None:
    running, cancelling = house.begun(), house.begun()
    released, fresh = house.submit(), house.submit(priority=-1)
    house.step()
    house.controller.cancel(cancelling)
    assert [(action.what, action.job_id, action.detail) for action in house.restart()] == [
        ("reconciled", running, "PENDING"), ("reconciled", cancelling, "CANCELLED"),
    ]  # fmt: skip
    assert house.cluster.tidied == [cancelling]
    assert house.step() == [("released", job_id) for job_id in (running, released, fresh)]
    assert {job.job_id: job.attempt for job in house.cluster.submitted} == dict.fromkeys((running, released, fresh), 2)
    assert not house.attempts.begin(running, 1, HERE)
    assert house.attempts.begin(running, 2, HERE)


def test_a_job_that_is_cancelled_between_two_attempts_is_tidied(house: House) -> None:
    job_id = house.begun()
    house.restart()
    assert house.get(job_id).status == "PENDING"
    assert house.controller.cancel(job_id).status == "CANCELLED"
    assert house.cluster.tidied == [job_id], "the first attempt's process may have died with its run open"
    waiting = house.submit()
    house.controller.cancel(waiting)
    assert waiting not in house.cluster.tidied, "what never ran leaves nothing"


def test_an_evaluation_outlives_a_registry_that_is_away_for_a_moment(house: House) -> None:
    job, _ = house.controller.submit("evaluate", {"model": {"name": "credit"}}, None)
    house.step()
    assert house.attempts.begin(job.id, 1, HERE)
    house.attempts.finish(job.id, 1, Broken(raised(UnavailableError("the registry is away"))), LAST)
    assert house.get(job.id).status == "PENDING"
    assert house.step(after_s=5.0) == [("released", job.id)]
    assert house.attempts.begin(job.id, 2, HERE)
    house.attempts.finish(job.id, 2, Done({"metrics": {}}), LAST)
    assert house.get(job.id).status == "SUCCEEDED"


def test_a_process_that_dies_after_its_last_word_is_cleaned_up_after(house: House) -> None:
    job_id = house.begun()
    house.controller.cancel(job_id)
    assert house.step(after_s=CANCEL_GRACE_S) == [("killed", job_id)]
    # it was sent before the process was killed, and is heard after
    house.attempts.finish(job_id, 1, Stopped(), LAST)
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    assert house.step() == []
    assert house.get(job_id).status == "CANCELLED"
    assert house.cluster.tidied == [job_id], "its process had no time for that"


def test_a_job_that_cannot_be_handed_over_fails_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = house.submit(), house.submit()
    submit = house.cluster.submit

    def refuse(assignment: Any) -> None:
        if assignment.job_id == bad:
            raise OverflowError("too large for the cluster's own numbers")
        submit(assignment)

    monkeypatch.setattr(house.cluster, "submit", refuse)
    house.step()
    assert house.get(bad).status == "FAILED"
    assert house.get(bad).error.type == "InternalError"  # type: ignore[union-attr]  # it has failed
    assert [task.job_id for task in house.cluster.submitted] == [good]


def test_reconciling_twice_is_the_same_as_once(house: House) -> None:
    job_id = house.begun()
    house.restart()
    assert house.controller.reconcile() == []
    assert house.restart() == []
    assert house.get(job_id).status == "PENDING"


def test_the_store_may_be_away_in_any_step(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = house.begun()
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    with monkeypatch.context() as broken:
        broken.setattr(JobStore, "requeue", _away)
        with pytest.raises(UnavailableError):
            house.step()
    assert house.step() == [("settled", job_id)]
    with monkeypatch.context() as broken:
        broken.setattr(JobStore, "assign_attempt", _away)
        with pytest.raises(UnavailableError):
            house.step(after_s=5)
    assert house.step() == [("released", job_id)]
    assert house.attempts.begin(job_id, 2, HERE)


def _away(*_: Any, **__: Any) -> None:
    raise UnavailableError("the job store is not available")


def test_only_what_failed_or_was_cancelled_can_be_repeated(house: House) -> None:
    job_id = house.begun(priority=3)
    with pytest.raises(ConflictError):
        house.controller.retry(job_id, None)
    house.controller.cancel(job_id)
    house.attempts.finish(job_id, 1, Stopped(), LAST)
    again, new = house.controller.retry(job_id, "key")
    assert new
    assert (again.retry_of, again.priority, again.spec) == (job_id, 3, house.get(job_id).spec)
    assert house.controller.retry(job_id, "key") == (again, False)


def test_a_full_disk_for_logs_costs_no_job_its_result(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobLogs, "append", _away)
    job_id = house.begun()
    house.attempts.finish(job_id, 1, RESULT, Report(Progress(phase="register"), (), "a line\n"))
    assert house.get(job_id).status == "SUCCEEDED"
