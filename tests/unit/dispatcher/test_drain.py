"""Before the service ends nothing more is released, and what runs is asked to leave a checkpoint; nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_cluster import HERE, FakeCluster

from ray_app.dispatcher.controller import Controller
from ray_app.dispatcher.messages import Done, Report, Stopped
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job, Progress
from ray_app.jobs.store import JobStore

LAST = Report(Progress(phase="fit"))


class House:
    """A controller with two CPUs; `restart` puts a new one over the same store."""

    def __init__(self, folder: Path) -> None:
        self.store = JobStore(f"sqlite:///{folder / 'jobs.db'}")
        self.logs = JobLogs(folder)
        self.restart()

    def restart(self) -> None:
        self.cluster = FakeCluster()
        self.controller = Controller(
            self.store, self.cluster, self.logs, release_ahead=1, changed=lambda job_id, job: None
        )
        self.attempts = self.controller.attempts
        self.controller.reconcile()

    def submit(self) -> Job:
        job, _ = self.controller.submit("train", {"name": "credit", "max_retries": 0}, None)
        return job

    def status(self, job: Job) -> str:
        return self.store.get(job.id).status.value


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_runs_stops_and_goes_on_after_the_next_start_and_no_retry_is_spent(house: House) -> None:
    running, waiting, behind = house.submit(), house.submit(), house.submit()
    house.controller.step()
    assert house.attempts.begin(running.id, 1, HERE)
    house.controller.drain()
    late = house.submit()
    assert [what for what, *_ in house.controller.step()] == []
    assert waiting.id in house.cluster.taken_back
    assert house.attempts.wanted(running.id, 1), "it may come to its end first"

    assert house.controller.interrupt() == [running.id]
    assert not house.attempts.wanted(running.id, 1)
    assert house.attempts.finish(running.id, 1, Stopped(), LAST) is False
    assert {house.status(job) for job in (running, waiting, behind, late)} == {"PENDING"}
    assert house.controller.flights.by_job == {}

    house.restart()
    house.controller.step()
    assert [task.job_id for task in house.cluster.submitted][:2] == [running.id, waiting.id]
    assert house.attempts.begin(running.id, 2, HERE)
    assert house.attempts.finish(running.id, 2, Done({}), LAST) is True
    assert house.status(running) == "SUCCEEDED"


def test_what_registers_its_version_is_let_be(house: House) -> None:
    job = house.submit()
    house.controller.step()
    house.attempts.begin(job.id, 1, HERE)
    assert house.attempts.may_commit(job.id, 1)
    house.controller.drain()
    assert house.controller.interrupt() == []
    assert house.attempts.finish(job.id, 1, Done({}), LAST)
    assert house.status(job) == "SUCCEEDED"


def test_what_was_cancelled_before_is_cancelled_and_does_not_come_back(house: House) -> None:
    job = house.submit()
    house.controller.step()
    house.attempts.begin(job.id, 1, HERE)
    house.controller.cancel(job.id)
    house.controller.drain()
    house.controller.interrupt()
    assert house.attempts.finish(job.id, 1, Stopped(), LAST)
    assert house.status(job) == "CANCELLED"
