"""What callers see of the dispatcher: everything but Ray is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import HERE, FakeCluster, made_by

from ray_app.dispatcher.dispatcher import Dispatcher
from ray_app.dispatcher.messages import Assignment, Done, Report
from ray_app.dispatcher.metrics import JobMetrics
from ray_app.jobs.model import Progress
from ray_app.settings import Settings
from training.errors import NotFoundError, UnavailableError

SPEC = {"name": "credit"}
LAST = Report(Progress(phase="register"), (), "the last line\n")


class Signalling(FakeCluster):
    """Says when a task was submitted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.tasks: asyncio.Queue[Assignment] = asyncio.Queue()

    def submit(self, assignment: Assignment) -> None:
        self._loop.call_soon_threadsafe(self.tasks.put_nowait, assignment)


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[tuple[Dispatcher, Signalling]]:
    cluster = Signalling(asyncio.get_running_loop())
    dispatcher = Dispatcher(Settings(home=home), made_by(cluster), JobMetrics())
    try:
        yield dispatcher, cluster
    finally:
        await asyncio.to_thread(dispatcher.close)


def test_waiting_calls_answer_when_something_happens(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, cluster):
            job, _ = await dispatcher.submit("train", SPEC)
            finals = [asyncio.create_task(dispatcher.get(job.id, wait_s=60)) for _ in range(200)]
            stopped = asyncio.create_task(dispatcher.until_stopped(job.id, 1))
            task = await cluster.tasks.get()
            assert await dispatcher.begin(job.id, task.attempt, HERE)
            seen = await dispatcher.events(job.id)
            news = asyncio.create_task(dispatcher.events(job.id, after=seen[-1].seq, wait_s=60))
            more = asyncio.create_task(dispatcher.log(job.id, offset=10_000, wait_s=60))
            report = Report(Progress(phase="fit"), (("phase", {"phase": "fit"}),), "a line\n" * 2000)
            assert await dispatcher.report(job.id, task.attempt, report)
            assert [event.data for event in await news] == [{"phase": "fit"}]
            assert (await more).text.endswith("a line\n")
            assert not any(final.done() for final in finals)
            await dispatcher.finish(job.id, task.attempt, Done({}), LAST)
            assert {(await final).status for final in finals} == {"SUCCEEDED"}
            assert await stopped

    asyncio.run(scenario())


def test_a_wait_ends_with_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, _):
            job, _ = await dispatcher.submit("train", SPEC)
            assert (await dispatcher.get(job.id, wait_s=0.01)).status == "PENDING"
            assert await dispatcher.events(job.id, after=99, wait_s=0.01) == []
            assert (await dispatcher.log(job.id, wait_s=0.01)).text == ""

    asyncio.run(scenario())


def test_nobody_waits_for_a_job_that_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, cluster):
            job, _ = await dispatcher.submit("train", SPEC)
            task = await cluster.tasks.get()
            await dispatcher.begin(job.id, task.attempt, HERE)
            await dispatcher.finish(job.id, task.attempt, Done({}), LAST)
            assert (await dispatcher.get(job.id, wait_s=3600)).status == "SUCCEEDED"
            assert await dispatcher.events(job.id, after=99, wait_s=3600) == []
            chunk = await dispatcher.log(job.id)
            assert chunk.text.endswith("the last line\n")
            end = await dispatcher.log(job.id, offset=chunk.next_offset, wait_s=3600)
            assert (end.text, end.final) == ("", True)

    asyncio.run(scenario())


def test_a_worker_hears_of_a_cancel_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, cluster):
            job, _ = await dispatcher.submit("train", SPEC)
            task = await cluster.tasks.get()
            await dispatcher.begin(job.id, task.attempt, HERE)
            stopped = asyncio.create_task(dispatcher.until_stopped(job.id, task.attempt))
            await dispatcher.cancel(job.id)
            assert await asyncio.wait_for(stopped, 10)

    asyncio.run(scenario())


def test_unknown_jobs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, _):
            for call in (dispatcher.get, dispatcher.cancel, dispatcher.retry, dispatcher.events, dispatcher.log):
                with pytest.raises(NotFoundError):
                    await call("job_00000000000000000000000000")
            with pytest.raises(NotFoundError):
                await dispatcher.log("../../etc/passwd")

    asyncio.run(scenario())


def test_a_store_that_cannot_be_opened_is_said_and_tried_again(tmp_path: Path) -> None:
    in_the_way = tmp_path / "jobs.db"
    in_the_way.mkdir()

    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, _):
            with pytest.raises(UnavailableError, match="job store"):
                await dispatcher.submit("train", SPEC)
            assert "job store" in (await dispatcher.health())["store"]
            in_the_way.rmdir()

            async def submitted() -> Any:
                while True:
                    try:
                        return await dispatcher.submit("train", SPEC)
                    except UnavailableError:
                        await asyncio.sleep(0.05)

            assert (await asyncio.wait_for(submitted(), 60))[1]
            assert await dispatcher.health() == {"store": "ok", "cluster": "ok", "dispatcher": "ok"}

    asyncio.run(scenario())


def test_a_cluster_without_nodes_is_not_healthy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, cluster):
            await dispatcher.submit("train", SPEC)
            cluster.nodes = ()
            assert (await dispatcher.health())["cluster"] == "the cluster has no living node"

    asyncio.run(scenario())


def test_figures(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (dispatcher, cluster):
            job, _ = await dispatcher.submit("train", SPEC)
            task = await cluster.tasks.get()
            await dispatcher.begin(job.id, task.attempt, HERE)
            assert (await dispatcher.stats()).released == 1
            await dispatcher.finish(job.id, task.attempt, Done({"timings": {"fit_s": 0.3}}), LAST)
            stats = await dispatcher.stats()
            assert (stats.by_status["SUCCEEDED"], stats.released) == (1, 0)
            assert sum(stats.histograms["queue_s"].counts) == 1
            assert stats.histograms["fit_s"].sum == 0.3

    asyncio.run(scenario())
