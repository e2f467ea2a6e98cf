"""The dispatcher on a real cluster: jobs become tasks, report, wait, stop."""

from __future__ import annotations

import asyncio
import os

import pytest
from dispatcher_cluster import Service, alive

from ray_app.dispatcher import connect
from ray_app.jobs.model import JobQuery
from ray_app.settings import Settings
from training.errors import ConflictError, NotFoundError, ResourceError

pytestmark = pytest.mark.cluster


def test_a_job_runs_and_tells_what_it_does(service: Service) -> None:
    job = service.submit("phase fit", "metric 0.5", "log hello", "phase evaluate")
    done = service.final(job)
    assert done.status == "SUCCEEDED"
    assert done.attempt == 1
    assert done.result is not None
    assert done.result["timings"]["queue_s"] >= 0
    events = service.do(service.jobs.events(job.id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = [(event.type, event.data) for event in events if event.data.get("phase") != "queued"]
    assert told == [
        ("state", {"status": "PENDING", "attempt": 0}),
        ("state", {"status": "RUNNING", "attempt": 1}),
        ("phase", {"phase": "fit"}),
        ("metrics", {"step": 1, "metrics": {"validation/log_loss": 0.5}}),
        ("phase", {"phase": "evaluate"}),
        ("state", {"status": "SUCCEEDED", "attempt": 1}),
    ]
    assert " hello\n" in service.log(job)


def test_a_warm_process_is_used_again(service: Service) -> None:
    async def warm() -> None:
        while (await service.jobs.stats()).warm_workers < 2:  # noqa: ASYNC110  what ends it is in other processes
            await asyncio.sleep(0.1)

    service.do(warm())
    pids = {(service.final(service.submit()).result or {})["pid"] for _ in range(6)}
    assert len(pids) <= 2


def test_errors_reach_the_caller_without_their_inside(service: Service) -> None:
    told = service.final(service.submit("fail data"))
    bug = service.final(service.submit("fail bug"))
    assert told.status == bug.status == "FAILED"
    assert told.error is not None
    assert bug.error is not None
    assert told.error.type == "DataError"
    assert told.error.errors[0].field == "data.target"
    assert bug.error.type == "InternalError"
    assert "secret" not in bug.error.model_dump_json()
    assert "secret inside" in service.log(bug)
    assert told.attempt == bug.attempt == 1


def test_an_error_that_may_pass_is_tried_again(service: Service) -> None:
    job = service.final(service.submit("once fail away"))
    assert job.status == "SUCCEEDED"
    assert job.attempt == 2
    assert service.statuses(job) == ["PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED"]


def test_a_job_that_never_fits_is_refused(service: Service) -> None:
    before = service.do(service.jobs.list(JobQuery())).items
    with pytest.raises(ResourceError, match="asks for 64 CPUs on one node; the largest node has 2") as refused:
        service.submit(resources={"cpus_per_worker": 64})
    assert refused.value.problems[0].field == "resources.cpus_per_worker"
    assert service.do(service.jobs.list(JobQuery())).items == before


def test_a_waiting_job_says_what_it_waits_for_and_never_runs_once_cancelled(service: Service) -> None:
    first = service.submit("mark first", "wait end")
    service.marked("first")
    second = service.submit("mark second", resources={"cpus_per_worker": 2})

    async def told() -> str:
        seq = 0
        while True:
            for event in await service.jobs.events(second.id, after=seq, wait_s=60):
                seq = event.seq
                if "message" in event.data:
                    return str(event.data["message"])

    assert service.do(told()) == "waiting for 2 CPUs; 1 of 2 CPUs free"
    assert service.do(service.jobs.cancel(second.id)).status == "CANCELLED"
    service.mark("end")
    assert service.final(first).status == "SUCCEEDED"
    # both CPUs are free again for the next one, which therefore comes after all that the second might have done
    assert service.final(service.submit(resources={"cpus_per_worker": 2})).status == "SUCCEEDED"
    assert not (service.folder / "second").exists()


def test_a_job_that_reports_stops_by_itself(service: Service) -> None:
    job = service.submit("mark begun", "wait never")
    pid = service.marked("begun")
    service.do(service.jobs.cancel(job.id))
    assert service.final(job).status == "CANCELLED"
    assert alive(pid)
    with pytest.raises(ConflictError):
        service.do(service.jobs.cancel(job.id))


@pytest.mark.parametrize("busy", ["native", "hold never"])
def test_a_busy_job_is_killed_and_its_cpus_are_free(service: Service, busy: str) -> None:
    job = service.submit("mark begun", busy, resources={"cpus_per_worker": 2})
    pid = service.marked("begun")
    assert service.do(service.jobs.cancel(job.id)).cancel_requested
    cancelled = service.final(job)
    assert cancelled.status == "CANCELLED"
    assert cancelled.attempt == 1
    service.ends(pid)
    assert service.final(service.submit(resources={"cpus_per_worker": 2})).status == "SUCCEEDED"
    service.appears(service.settings.home_path / f"tidied-{job.id}")


def test_the_same_key_is_the_same_job(service: Service) -> None:
    spec = {"name": "keyed", "script": []}

    async def submit_twice() -> list[tuple[str, bool]]:
        calls = [service.jobs.submit("train", spec, idempotency_key="key") for _ in range(2)]
        return [(job.id, new) for job, new in await asyncio.gather(*calls)]

    answers = service.do(submit_twice())
    assert len({job_id for job_id, _ in answers}) == 1
    assert sorted(new for _, new in answers) == [False, True]
    with pytest.raises(ConflictError):
        service.do(service.jobs.submit("train", spec | {"priority": 1}, idempotency_key="key"))


def test_retry_repeats_a_failed_job(service: Service) -> None:
    failed = service.final(service.submit("fail data"))
    again = service.do(service.jobs.retry(failed.id))
    assert again.retry_of == failed.id
    assert again.id != failed.id
    assert again.spec == failed.spec
    with pytest.raises(ConflictError):
        service.do(service.jobs.retry(service.final(service.submit()).id))


def test_many_followers_hear_of_one_job(service: Service) -> None:
    job = service.submit("mark begun", "wait end")
    service.marked("begun")

    async def follow() -> list[str]:
        waits = [asyncio.create_task(service.jobs.get(job.id, wait_s=60)) for _ in range(200)]
        assert (await service.jobs.get(job.id)).status == "RUNNING"
        service.mark("end")
        return [str((await wait).status) for wait in waits]

    assert service.do(follow()) == ["SUCCEEDED"] * 200


def test_all_callers_reach_one_dispatcher(service: Service) -> None:
    job = service.final(service.submit())
    other = connect(Settings(home=service.folder / "elsewhere"))
    assert service.do(other.get(job.id)).id == job.id


def test_an_unknown_job(service: Service) -> None:
    for call in (service.jobs.get, service.jobs.cancel, service.jobs.retry, service.jobs.events, service.jobs.log):
        with pytest.raises(NotFoundError):
            service.do(call("job_00000000000000000000000000"))


def test_health_and_figures(service: Service) -> None:
    before = service.do(service.jobs.stats())
    service.final(service.submit())
    service.final(service.submit("fail data"))
    assert service.do(service.jobs.health()) == {"store": "ok", "cluster": "ok", "dispatcher": "ok"}
    after = service.do(service.jobs.stats())
    assert after.released == 0
    assert {status: after.by_status[status] - before.by_status[status] for status in after.by_status} == {
        "PENDING": 0, "RUNNING": 0, "SUCCEEDED": 1, "FAILED": 1, "CANCELLED": 0,
    }  # fmt: skip
    for name, more in {"queue_s": 2, "fit_s": 1}.items():
        assert sum(after.histograms[name].counts) - sum(before.histograms[name].counts) == more


def test_training_yields_to_the_api(service: Service) -> None:
    assert (service.final(service.submit()).result or {})["niceness"] > os.getpriority(os.PRIO_PROCESS, 0)
