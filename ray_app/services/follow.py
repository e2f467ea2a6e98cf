"""A job is followed while it runs: its events and its log, as streams that end with the job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from ray_app.jobs.model import JobEvent, JobStatus
from ray_app.jobs.port import Jobs
from training.errors import UnavailableError

T = TypeVar("T")

HEARTBEAT_S = 15.0  # proxies close connections that are silent for 30 to 60 s
PATIENCE_S = 60.0  # a dispatcher that died is back well within this


async def follow_events(
    jobs: Jobs, job_id: str, *, after: int = 0, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[JobEvent | None]:
    """Events with seq > `after`, in order, until the job's final state; None each `heartbeat_s` without an event.

    Raises:
        NotFoundError: no such job.
        UnavailableError: the dispatcher is away, and stayed away.
    """
    final = (await jobs.get(job_id)).status.final
    while True:
        wait_s = 0.0 if final else heartbeat_s
        events = await _patiently(lambda: jobs.events(job_id, after=after, wait_s=wait_s))  # noqa: B023 - called at once
        for event in events:
            yield event
            after = event.seq
            if ends_the_job(event):
                return
        if not events:
            if final:  # it was final before we looked, so there is nothing more to come
                return
            yield None
            final = (await _patiently(lambda: jobs.get(job_id))).status.final


def ends_the_job(event: JobEvent) -> bool:
    """Whether the event says that the job has come to a final state."""
    return event.type == "state" and JobStatus(event.data["status"]).final


async def read_log(jobs: Jobs, job_id: str, *, follow: bool, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[str]:
    """The log of a job in pieces: what there is, or with `follow` all until the job is over.

    Raises:
        NotFoundError: no such job.
        UnavailableError: the dispatcher is away, and stayed away.
    """
    chunk = await jobs.log(job_id, wait_s=0)
    while True:
        yield chunk.text
        if chunk.final or not (follow or chunk.text):
            return
        offset, wait_s = chunk.next_offset, heartbeat_s if follow else 0.0
        chunk = await _patiently(lambda: jobs.log(job_id, offset=offset, wait_s=wait_s))  # noqa: B023 - called at once


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeats the call while the dispatcher is away, for it restarts by itself."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1.0)
