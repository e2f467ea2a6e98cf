"""A process dies while it registers the version of its job: what is registered was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_cluster import HERE
from ray.exceptions import WorkerCrashedError

from ray_app.dispatcher.flights import CANCEL_GRACE_S, COMMIT_GRACE_S
from ray_app.dispatcher.messages import Stopped, TaskEnd
from tests.unit.dispatcher.test_controller import LAST, RESULT, House


@pytest.fixture(name="house")
def _house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(sqlite_url, tmp_path / "logs")
    yield house
    house.store.close()


def the_dispatcher_dies_first(house: House, job_id: str) -> None:
    house.restart()
    house.controller.cancel(job_id)


def it_dies_afterwards(house: House, job_id: str) -> None:
    house.controller.cancel(job_id)
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    house.step()


def it_is_killed(house: House, job_id: str) -> None:
    house.controller.cancel(job_id)
    assert house.step(after_s=COMMIT_GRACE_S) == [("killed", job_id)]
    house.step(after_s=COMMIT_GRACE_S)


def it_stops_while_it_waits_for_the_registry(house: House, job_id: str) -> None:
    house.controller.cancel(job_id)
    assert not house.attempts.finish(job_id, 1, Stopped(), LAST)


WAYS = [the_dispatcher_dies_first, it_dies_afterwards, it_is_killed, it_stops_while_it_waits_for_the_registry]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def looking(request: pytest.FixtureRequest, house: House) -> str:
    """A job whose second attempt is out to look what came of the first."""
    job_id = house.begun()
    assert house.attempts.may_commit(job_id, 1)
    way: Callable[[House, str], None] = request.param
    way(house, job_id)
    waiting = house.get(job_id)
    assert (waiting.status, waiting.cancel_requested) == ("PENDING", True)
    house.step(after_s=5)
    assert [(task.attempt, task.only_look) for task in house.cluster.submitted][-1] == (2, True)
    assert house.attempts.begin(job_id, 2, HERE)
    assert not house.attempts.may_commit(job_id, 2)
    return job_id


def test_a_version_that_is_there_ends_the_job_as_done(house: House, looking: str) -> None:
    house.attempts.finish(looking, 2, RESULT, LAST)
    assert house.get(looking).status == "SUCCEEDED"


def test_without_a_version_the_job_is_cancelled(house: House, looking: str) -> None:
    house.attempts.finish(looking, 2, Stopped(), LAST)
    assert house.get(looking).status == "CANCELLED"


def test_who_looks_has_the_time_to(house: House, looking: str) -> None:
    assert house.step(after_s=CANCEL_GRACE_S + 1) == []
    assert house.step(after_s=COMMIT_GRACE_S) == [("killed", looking)]
    house.step(after_s=5)
    assert house.get(looking).status == "PENDING"  # it is still not known


def test_a_job_that_has_not_come_to_register_is_cancelled_at_once(house: House) -> None:
    job_id = house.begun()
    house.controller.task_ended(TaskEnd(job_id, 1, WorkerCrashedError()))
    house.step()
    house.controller.cancel(job_id)
    assert house.get(job_id).status == "CANCELLED"


@pytest.mark.parametrize("retries", [0, 1])
def test_a_job_without_retries_left_is_looked_after_once(house: House, retries: int) -> None:
    job_id = house.begun(max_retries=retries)
    for attempt in range(1, 3 + retries):
        assert house.attempts.may_commit(job_id, attempt)
        house.controller.task_ended(TaskEnd(job_id, attempt, WorkerCrashedError()))
        house.step()
        house.step(after_s=5)
        house.attempts.begin(job_id, attempt + 1, HERE)
    assert (house.get(job_id).status, house.get(job_id).attempt) == ("FAILED", 2 + retries)
