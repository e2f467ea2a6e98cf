"""How the API reaches the dispatcher."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from ray_app.dispatcher.actor import DispatcherActor
from ray_app.dispatcher.monitor_client import MonitorsClient
from ray_app.dispatcher.near_store import NearStore
from ray_app.dispatcher.pool_client import PoolsClient
from ray_app.dispatcher.runner import PIPELINE
from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStats, JobStatus, LogChunk
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, WebhookEvent
from ray_app.settings import Settings
from training.errors import ConflictError, TrainingError, UnavailableError

logger = logging.getLogger(__name__)

NAME = "dispatcher"
NAMESPACE = "mts"
START_TIMEOUT_S = 60.0
"""For its process to start and import."""
ANSWER_TIMEOUT_S = 20.0
"""Beyond the time that a call may wait on purpose."""
PATIENCE_S = 20.0
"""A dispatcher that died is back within a few seconds; callers wait so long before they hear that it is away."""
PAUSE_S = 0.2
HEAD_NODE = "node:__internal_head__"
MAX_CONCURRENCY = 5000
"""Calls that may wait in the dispatcher at once: one for each follower of a job and one for each running attempt."""


def connect(settings: Settings, *, runner: str = PIPELINE) -> DispatcherClient:
    """The jobs, pools and monitors of the cluster that this process is connected to; starts the dispatcher if need be.

    Whoever calls this first should belong to a Ray job that lives on: Ray ends the idle worker processes of a job that
    is over, and with them go warm starts.

    Args:
        settings: of the service; those of the first caller count.
        runner: import path of the `Runner` that does the jobs.

    Raises:
        UnavailableError: the actor cannot be reached or made.
    """
    actor: Any = ray.remote(DispatcherActor).options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_concurrency=MAX_CONCURRENCY,
        num_cpus=0,
        resources={HEAD_NODE: 0.001},
    )

    def reach() -> ActorHandle[Any]:
        try:
            handle: ActorHandle[Any] = actor.remote(settings, runner)
            handle.ping.remote().future().result(START_TIMEOUT_S)
        except (RayError, TimeoutError) as error:
            raise UnavailableError(f"the dispatcher does not start: {type(error).__name__}") from error
        return handle

    return DispatcherClient(reach)


class DispatcherClient:
    """Implements ray_app.jobs.port.Jobs by calls to the actor. What is read without a wait comes from the store itself.

    The actor may die during any call and come back. All calls are made so that they can be repeated: reads by nature,
    `submit` and `retry` by an idempotency key, `cancel` because a second one finds the job cancelled.

    Args:
        reach: gets the actor, or makes it.
    """

    def __init__(self, reach: Callable[[], ActorHandle[Any]]) -> None:
        self._reach = reach
        self._actor = reach()
        self._near = NearStore(partial(self._call, "store_address"), ray.get_runtime_context().get_node_id())
        self.monitors = MonitorsClient(partial(self._call, "monitor"))
        """Implements ray_app.jobs.monitors.port.Monitors."""
        self.pools = PoolsClient(partial(self._call, "pool"), self)
        """Pools of rows to label; implements ray_app.jobs.pools.port.Pools."""

    async def submit(
        self, kind: JobKind, spec: dict[str, Any], *, idempotency_key: str | None = None, retry_of: str | None = None
    ) -> tuple[Job, bool]:
        """Stores the job and answers only then; see the port."""
        own_key = f"call-{secrets.token_hex(16)}"
        job, new = await self._call("submit", kind, spec, idempotency_key=idempotency_key or own_key, retry_of=retry_of)
        # with a key of our own, an earlier job can only be the one that an unheard answer was about
        return job, new or idempotency_key is None

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        """The job; with `wait_s`, as soon as it is final or when the time is over."""
        if wait_s > 0:
            job: Job = await self._call("get", job_id, wait_s=wait_s)
            return job
        return await self._near.read(lambda store: store.get(job_id), lambda: self._call("get", job_id))

    async def list(self, query: JobQuery) -> JobPage:
        """A page of jobs, newest first."""
        return await self._near.read(lambda store: store.list(query), lambda: self._call("list", query))

    async def active(self, tag: str) -> int:
        """The number of jobs with the tag that are not over."""
        return await self._near.read(lambda store: store.active(tag), lambda: self._call("active", tag))

    async def cancel(self, job_id: str) -> Job:
        """Asks the job to stop."""
        before = await self.get(job_id)
        try:
            job: Job = await self._call("cancel", job_id)
        except ConflictError:
            job = await self.get(job_id)
            if before.status.final or job.status is not JobStatus.CANCELLED:
                raise
            # an earlier try of ours did it, and its answer was lost
        return job

    async def retry(self, job_id: str) -> Job:
        """A new job with the same spec and `retry_of` set."""
        job: Job = await self._call("retry", job_id, idempotency_key=f"call-{secrets.token_hex(16)}")
        return job

    async def events(self, job_id: str, *, after: int = 0, wait_s: float = 0) -> Sequence[JobEvent]:
        """Events with seq > after, in order."""
        events: Sequence[JobEvent] = await self._call("events", job_id, after=after, wait_s=wait_s)
        return events

    async def log(self, job_id: str, *, offset: int = 0, wait_s: float = 0) -> LogChunk:
        """The log from a byte offset."""
        chunk: LogChunk = await self._call("log", job_id, offset=offset, wait_s=wait_s)
        return chunk

    async def publish(self, event: WebhookEvent) -> None:
        """Stores the event for every receiver that wants it."""
        await self._call("publish", event)

    async def deliveries(self, status: DeliveryStatus | None, limit: int, cursor: str | None) -> DeliveryPage:
        """Deliveries of webhooks, newest first."""
        found: DeliveryPage = await self._call("deliveries", status, limit, cursor)
        return found

    async def replay(self, delivery_id: str) -> Delivery:
        """Lets a dead or delivered webhook go out again."""
        delivery: Delivery = await self._call("replay", delivery_id)
        return delivery

    async def stats(self) -> JobStats:
        """Counts for metrics."""
        stats: JobStats = await self._call("stats")
        return stats

    async def health(self) -> dict[str, str]:
        """What the dispatcher depends on."""
        health: dict[str, str] = await self._call("health")
        return health

    async def _call(self, method: str, *arguments: Any, wait_s: float | None = None, **options: Any) -> Any:
        """One call, repeated while the dispatcher is away.

        Raises:
            TrainingError: what the dispatcher raised.
            UnavailableError: the dispatcher stayed away.
        """
        give_up = time.monotonic() + PATIENCE_S
        if wait_s is not None:
            options["wait_s"] = wait_s
        while True:
            try:
                return await self._once(method, arguments, options, ANSWER_TIMEOUT_S + (wait_s or 0))
            except RayActorError as error:
                if time.monotonic() > give_up:
                    raise UnavailableError("the dispatcher is away", hint="try again in a few seconds") from error
                logger.info("the dispatcher is away; %s is tried again", method)
                if isinstance(error, ActorDiedError):
                    self._actor = await asyncio.to_thread(self._reach)
                    self._near.forget()
            await asyncio.sleep(PAUSE_S)

    async def _once(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any], timeout_s: float) -> Any:
        call = getattr(self._actor, method).remote(*arguments, **options)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(call.future()), timeout_s)
        except RayTaskError as error:
            if isinstance(error.cause, TrainingError):
                raise error.cause from None
            raise
        except TimeoutError as error:
            raise UnavailableError(f"the dispatcher did not answer within {timeout_s:g} s") from error
