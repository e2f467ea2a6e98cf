"""Jobs that are asked for at the same time are stored together, and each caller hears of its own only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from fake_cluster import FakeCluster

from ray_app.dispatcher.control_thread import ControlThread
from ray_app.dispatcher.controller import Controller, Submission
from ray_app.dispatcher.intake import MAX_AT_ONCE, Intake
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore
from training.errors import ConflictError, ResourceError, UnavailableError

LIMIT_S = 30


class Desk:
    """An intake whose controller can be kept busy, so that submissions pile up before it."""

    def __init__(self, store: JobStore, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._go_on = threading.Event()
        self.control = ControlThread(self._made)
        self.intake = Intake(self.control.call)

    def _made(self) -> Controller:
        return Controller(
            self.store, FakeCluster(), JobLogs(self._folder), release_ahead=1, changed=lambda job_id, job: None
        )

    def hold(self) -> None:
        held = threading.Event()

        def wait(_: Controller) -> None:
            held.set()
            self._go_on.wait(LIMIT_S)

        self.control.call(wait)
        assert held.wait(LIMIT_S)

    def go_on(self) -> None:
        self._go_on.set()


@pytest.fixture
def desk(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    with JobStore(sqlite_url) as store:
        made = Desk(store, tmp_path / "logs")
        yield made
        made.go_on()
        made.control.close()


def asked(name: str, key: str | None = None, cpus: int = 1) -> Submission:
    return Submission("train", {"name": name, "resources": {"cpus_per_worker": cpus}}, key)


def test_all_that_wait_are_stored_in_the_order_in_which_they_came(desk: Desk) -> None:
    names = [f"job-{number}" for number in range(2 * MAX_AT_ONCE + 3)]
    desk.hold()
    waiting = [desk.intake.submit(asked(name)) for name in names]
    assert desk.store.list(JobQuery()).items == []
    desk.go_on()
    stored = [one.result(LIMIT_S) for one in waiting]
    assert [(job.name, new) for job, new in stored] == [(name, True) for name in names]
    assert [desk.store.get(job.id).spec for job, _ in stored] == [job.spec for job, _ in stored]
    assert sorted(job.id for job, _ in stored) == [job.id for job, _ in stored]


def test_each_caller_hears_what_became_of_its_own(desk: Desk) -> None:
    desk.hold()
    first, same, other = (desk.intake.submit(asked(name, key="k")) for name in ("a", "a", "b"))
    large = desk.intake.submit(asked("large", cpus=99))
    broken = desk.intake.submit(Submission("train", {"nameless": True}))
    last = desk.intake.submit(asked("last"))
    desk.go_on()
    assert same.result(LIMIT_S) == (first.result(LIMIT_S)[0], False)
    for refused, error in ((other, ConflictError), (large, ResourceError), (broken, KeyError)):
        assert isinstance(refused.exception(LIMIT_S), error)
    assert last.result(LIMIT_S)[1]
    assert {job.name for job in desk.store.list(JobQuery()).items} == {"a", "last"}


def test_a_caller_that_gives_up_while_it_waits_gets_no_job(desk: Desk) -> None:
    desk.hold()
    given_up, other = desk.intake.submit(asked("given up")), desk.intake.submit(asked("other"))
    assert given_up.cancel()
    desk.go_on()
    assert other.result(LIMIT_S)[1]
    assert [job.name for job in desk.store.list(JobQuery()).items] == ["other"]


def test_without_a_store_each_is_refused() -> None:
    def no_store() -> Controller:
        raise UnavailableError("the job store is not available")

    control = ControlThread(no_store)
    intake = Intake(control.call)
    waiting: list[Future[object]] = [intake.submit(asked(f"job-{number}")) for number in range(5)]  # type: ignore[misc]
    assert all(isinstance(one.exception(LIMIT_S), UnavailableError) for one in waiting)
    control.close()
