"""Processes are killed while jobs run: nothing is lost, nothing is done twice, and the CPUs are free again."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest
import ray
from dispatcher_cluster import Service, dispatcher_pid

from ray_app.dispatcher.client import NAME, NAMESPACE
from ray_app.jobs.model import JobQuery
from training.errors import UnavailableError

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

BOTH_CPUS = {"cpus_per_worker": 2}


def ordered(service: Service, job_id: str) -> bool:
    """Whether the job's events are numbered without gaps, and end with its one final state."""
    events = service.do(service.jobs.events(job_id))
    finals = [event for event in events if event.data.get("status") in {"SUCCEEDED", "FAILED", "CANCELLED"}]
    return [event.seq for event in events] == list(range(1, len(events) + 1)) and finals == [events[-1]]


def test_a_killed_worker_loses_no_job(service: Service) -> None:
    job = service.submit("once mark begun", "once hold never", "mark again")
    os.kill(service.marked("begun"), signal.SIGKILL)
    done = service.final(job)
    assert (done.status, done.attempt) == ("SUCCEEDED", 2)
    assert service.statuses(job) == ["PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED"]
    assert ordered(service, job.id)
    assert "killed from outside" in service.log(job)
    assert service.final(service.submit(resources=BOTH_CPUS)).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("whose", "has_registered", "end"), [("the worker", True, "SUCCEEDED"), ("the dispatcher", False, "CANCELLED")]
)
def test_a_job_that_is_cancelled_when_its_process_died_while_it_registered(
    service: Service, *, whose: str, has_registered: bool, end: str
) -> None:
    made = ["once register"] if has_registered else []
    job = service.submit("once commit", *made, "once mark begun", "once hold never", "mark again", "hold never")
    pid = service.marked("begun")
    os.kill(pid if whose == "the worker" else dispatcher_pid(), signal.SIGKILL)
    service.do(service.jobs.cancel(job.id))
    done = service.final(job)
    # a third attempt looks where the second had begun before the wish to stop came
    assert (done.status, done.attempt in {2, 3}) == (end, True)
    if not has_registered:
        service.appears(service.settings.home_path / f"tidied-{job.id}")
    assert ordered(service, job.id)
    service.ends(pid)


def test_a_job_that_kills_its_process_each_time_is_given_up(service: Service) -> None:
    job = service.final(service.submit("exit 3", max_retries=1))
    assert (job.status, job.attempt) == ("FAILED", 2)
    assert job.error is not None
    assert job.error.type == "WorkerLostError"
    assert job.error.message.endswith("gave up after 1 retry")


def test_a_killed_dispatcher_loses_no_job(service: Service) -> None:
    running = service.submit("once mark begun", "once hold never")
    first_pid = service.marked("begun")
    waiting = [service.submit(resources=BOTH_CPUS) for _ in range(8)]
    os.kill(dispatcher_pid(), signal.SIGKILL)
    done = [service.final(job) for job in [running, *waiting]]
    assert [job.status for job in done] == ["SUCCEEDED"] * 9
    assert done[0].attempt == 2
    assert all(ordered(service, job.id) for job in done)
    assert [len(service.statuses(job)) for job in waiting] == [3] * 8
    service.ends(first_pid)
    assert service.final(service.submit(resources=BOTH_CPUS)).status == "SUCCEEDED"


def test_calls_outlive_a_killed_dispatcher(service: Service) -> None:
    pid = dispatcher_pid()

    async def submit_while_it_dies() -> list[str]:
        calls = [
            asyncio.create_task(service.jobs.submit("train", {"name": f"burst-{number}", "script": []}))
            for number in range(20)
        ]
        await calls[0]
        os.kill(pid, signal.SIGKILL)
        return [(await call)[0].id for call in calls]

    accepted = service.do(submit_while_it_dies())
    assert len(set(accepted)) == 20
    for job_id in accepted:
        assert service.do(service.jobs.get(job_id, wait_s=60)).status == "SUCCEEDED"
    assert service.do(service.jobs.stats()).by_status["SUCCEEDED"] == 20


def test_a_cancel_survives_the_dispatcher(service: Service) -> None:
    job = service.submit("mark begun", "hold never")
    service.marked("begun")
    assert service.do(service.jobs.cancel(job.id)).status == "RUNNING"
    os.kill(dispatcher_pid(), signal.SIGKILL)
    assert service.final(job).status == "CANCELLED"
    assert service.statuses(job)[-1] == "CANCELLED"


def test_before_the_service_ends_what_runs_stops_and_goes_on_after_the_next_start(service: Service) -> None:
    job = service.submit("once mark begun", "once wait never", max_retries=0)
    service.marked("begun")
    waiting = service.submit(resources=BOTH_CPUS)
    dispatcher = ray.get_actor(NAME, namespace=NAMESPACE)
    assert ray.get(dispatcher.drain.remote(0.0, 60.0)) == 0
    assert service.statuses(job) == ["PENDING", "RUNNING", "PENDING"]
    assert service.do(service.jobs.health())["dispatcher"] == "the service is going down"
    os.kill(dispatcher_pid(), signal.SIGKILL)
    assert [service.final(one).status for one in (job, waiting)] == ["SUCCEEDED"] * 2
    assert service.final(job).attempt == 2
    assert "the service was restarted" in service.log(job)


def test_before_the_service_ends_what_runs_may_come_to_its_end(service: Service) -> None:
    job = service.submit("mark begun", "wait go")
    service.marked("begun")
    drained = ray.get_actor(NAME, namespace=NAMESPACE).drain.remote(60.0, 60.0)
    service.mark("go")
    assert ray.get(drained) == 0
    assert (service.final(job).status, service.final(job).attempt) == ("SUCCEEDED", 1)


def test_a_store_that_is_away_is_said_and_waited_for(service: Service) -> None:
    done = service.final(service.submit())
    home = service.settings.home_path
    files = [path for path in home.iterdir() if path.name.startswith("jobs.db")]
    os.kill(dispatcher_pid(), signal.SIGKILL)
    (home / "away").mkdir()
    for file in files:
        file.rename(home / "away" / file.name)
    (home / "jobs.db").mkdir()
    with pytest.raises(UnavailableError, match="job store"):
        service.do(service.jobs.get(done.id))
    assert service.do(service.jobs.health())["store"] != "ok"
    (home / "jobs.db").rmdir()
    for file in files:
        (home / "away" / file.name).rename(file)

    async def back() -> None:
        while (await service.jobs.health())["store"] != "ok":  # noqa: ASYNC110  what ends it is in another process
            await asyncio.sleep(0.1)

    service.do(back())
    assert service.do(service.jobs.get(done.id)) == done


def test_jobs_are_read_while_the_dispatcher_does_not_answer(service: Service) -> None:
    done = service.final(service.submit())
    assert service.do(service.jobs.get(done.id)) == done
    dispatcher = psutil.Process(dispatcher_pid())
    dispatcher.suspend()
    try:
        assert service.do(service.jobs.get(done.id)) == done
        assert service.do(service.jobs.list(JobQuery())).items == [done]
        assert service.do(service.jobs.active("a=b")) == 0
    finally:
        dispatcher.resume()
    assert service.final(service.submit()).status == "SUCCEEDED"
