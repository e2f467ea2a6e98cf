"""What the actor does: a plain class of coroutines, so that a test can run it without Ray."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from ray_app.dispatcher.attempts import Announced
from ray_app.dispatcher.changes import Changes
from ray_app.dispatcher.cluster import Cluster
from ray_app.dispatcher.control_thread import ControlThread
from ray_app.dispatcher.controller import Action, Controller, Submission
from ray_app.dispatcher.counts import Counts
from ray_app.dispatcher.intake import Intake
from ray_app.dispatcher.messages import Outcome, Report, TaskEnd, Whereabouts
from ray_app.dispatcher.metrics import JobMetrics
from ray_app.dispatcher.monitor_desk import MONITOR_TAG, MonitorDesk
from ray_app.dispatcher.pool_desk import CHANGES, POOL_TAG, PoolDesk, PoolMethod
from ray_app.dispatcher.reads import Reads
from ray_app.dispatcher.webhook_sender import SenderThread, WebhookSender
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStats, LogChunk
from ray_app.jobs.store import JobStore, utc_now
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, WebhookEvent
from ray_app.services.announcements import of_training
from ray_app.services.webhooks import WebhookList
from ray_app.settings import Settings
from training.errors import UnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

HEALTH_TIMEOUT_S = 3.0
"""What does not answer a health check by then counts as away."""
DRAIN_POLL_S = 0.1
"""Between two looks at what still runs, before the service ends."""


class Dispatcher:
    """Implements ray_app.jobs.port.Jobs, and what workers call. Starts at once; refuses calls until the store is open.

    Args:
        settings: of the service.
        make_cluster: given what hears the end of each task.
        metrics: hears of each change of state.
    """

    def __init__(
        self, settings: Settings, make_cluster: Callable[[Callable[[TaskEnd], None]], Cluster], metrics: JobMetrics
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._store: JobStore | None = None
        self._monitors: MonitorDesk | None = None
        self._logs = JobLogs(settings.logs_path)
        self._changes = Changes()
        self._reads = Reads()
        self._counts = Counts()
        self._cluster = make_cluster(self._task_ended)
        self._webhooks = WebhookList(settings.webhooks_file)
        self._sender: SenderThread | None = None
        self._draining = False
        self._control = ControlThread(self._make_controller)
        self._intake = Intake(self._control.call)

    def close(self) -> None:
        """Ends the threads; what is stored stays."""
        self._control.close()
        if self._sender is not None:
            self._sender.close()
        self._reads.close()
        if self._store is not None:
            self._store.close()

    # what comes in from callers

    async def ping(self) -> None:
        """Answers."""

    async def submit(
        self, kind: JobKind, spec: dict[str, Any], *, idempotency_key: str | None = None, retry_of: str | None = None
    ) -> tuple[Job, bool]:
        """Stores the job and answers only then; see the port."""
        return await asyncio.wrap_future(self._intake.submit(Submission(kind, spec, idempotency_key, retry_of)))

    async def cancel(self, job_id: str) -> Job:
        """Asks the job to stop."""
        return await self._do(lambda controller: controller.cancel(job_id))

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job with the same spec."""
        job, _ = await self._do(lambda controller: controller.retry(job_id, idempotency_key))
        return job

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        """The job; with `wait_s`, as soon as it is final or when the time is over."""
        store = await self._opened()
        if wait_s <= 0:
            return await self._reads.alone(lambda: store.get(job_id))

        async def look(signal: asyncio.Future[None]) -> tuple[Job, bool]:
            job = await self._reads.shared(signal, "job", lambda: store.get(job_id))
            return job, job.status.final

        return await self._watch(_state_of(job_id), wait_s, look)

    async def list(self, query: JobQuery) -> JobPage:
        """A page of jobs, newest first."""
        store = await self._opened()
        return await self._reads.alone(lambda: store.list(query))

    async def active(self, tag: str) -> int:
        """The number of jobs with the tag that are not over."""
        store = await self._opened()
        return await self._reads.alone(lambda: store.active(tag))

    async def events(self, job_id: str, *, after: int = 0, wait_s: float = 0) -> Sequence[JobEvent]:
        """Events with seq > after; waits for the first, unless the job is over."""
        store = await self._opened()

        def read() -> tuple[Sequence[JobEvent], bool]:
            final = store.get(job_id).status.final
            events = store.events(job_id, after)
            return events, final or bool(events)

        return await self._watch(job_id, wait_s, lambda signal: self._reads.shared(signal, ("events", after), read))

    async def log(self, job_id: str, *, offset: int = 0, wait_s: float = 0) -> LogChunk:
        """The log from a byte offset; waits for more, unless the job is over."""
        store = await self._opened()

        def read() -> tuple[LogChunk, bool]:
            over = store.get(job_id).status.final
            text, next_offset = self._logs.read(job_id, offset)
            # a job that is over writes no more: what is left to read is there already
            final = over and not self._logs.read(job_id, next_offset)[0]
            return LogChunk(text=text, next_offset=next_offset, final=final), final or bool(text)

        return await self._watch(job_id, wait_s, lambda signal: self._reads.shared(signal, ("log", offset), read))

    async def stats(self) -> JobStats:
        """Counts for metrics."""
        store = await self._opened()
        by_status = await self._reads.alone(lambda: self._counts.read(store.counts))
        oldest_s = await self._reads.alone(store.oldest_pending_s)
        released = await self._do(lambda controller: len(controller.flights.by_job))
        monitors = await self._do(lambda _: self._monitor_desk().stats())
        self._metrics.counted(by_status)
        return JobStats(
            by_status=by_status, oldest_pending_s=oldest_s, released=released, histograms=self._metrics.histograms(),
            monitors=list(monitors),
        )  # fmt: skip

    async def health(self) -> dict[str, str]:
        """What the dispatcher depends on, each "ok" or what is wrong with it."""
        if self._store is None:
            return {"store": self._control.problem or "starting", "cluster": "unknown"}
        store = self._store
        return {
            "store": await _verdict(self._reads.alone(store.health)),
            "cluster": await _verdict(self._do(lambda controller: controller.check_cluster())),
            "dispatcher": self._control.problem or ("the service is going down" if self._draining else "ok"),
        }

    async def drain(self, wait_s: float, stop_s: float) -> int:
        """Prepares for the end of the service; answers the number of attempts that still run then.

        Args:
            wait_s: what runs may come to its end for so long.
            stop_s: what does not is then asked to leave a checkpoint and stop, and has this long to do so.
        """
        self._draining = True
        await self._do(lambda controller: controller.drain())
        left = await self._until_none_runs(wait_s)
        if left and stop_s > 0:
            for job_id in await self._do(lambda controller: controller.interrupt()):
                self._changes.announce(_state_of(job_id))
            left = await self._until_none_runs(stop_s)
        return left

    async def publish(self, event: WebhookEvent) -> None:
        """Stores the event for every receiver that wants it, and answers only then."""
        store = await self._opened()
        await self._reads.alone(lambda: store.webhooks.add(event, self._webhooks.receivers(event)))
        if self._sender is not None:
            self._sender.wake()

    async def deliveries(self, status: DeliveryStatus | None, limit: int, cursor: str | None) -> DeliveryPage:
        """Deliveries of webhooks, newest first."""
        store = await self._opened()
        return await self._reads.alone(lambda: store.webhooks.page(status, limit, cursor))

    async def replay(self, delivery_id: str) -> Delivery:
        """Lets a dead or delivered webhook go out again."""
        store = await self._opened()
        delivery = await self._reads.alone(lambda: store.webhooks.replay(delivery_id))
        if self._sender is not None:
            self._sender.wake()
        return delivery

    async def monitor(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What callers ask of monitors; see ray_app.jobs.monitors.port."""
        return await self._do(lambda _: getattr(self._monitor_desk(), method)(*arguments, **options))

    async def pool(self, method: PoolMethod, *arguments: Any, **options: Any) -> Any:
        """What callers ask of pools; see ray_app.jobs.pools.port. Changes go through the desk, one after the other."""
        if method in CHANGES:
            return await self._do(lambda controller: getattr(self._desk(controller), method)(*arguments, **options))
        store = await self._opened()
        return await self._reads.alone(lambda: getattr(store.pools, method)(*arguments, **options))

    # what comes in from workers

    async def begin(self, job_id: str, attempt: int, where: Whereabouts) -> bool:
        """Whether the attempt is to run."""
        return await self._do(lambda controller: controller.attempts.begin(job_id, attempt, where))

    async def report(self, job_id: str, attempt: int, report: Report) -> bool:
        """Keeps a report; answers whether to go on."""
        return await self._do(lambda controller: controller.attempts.report(job_id, attempt, report))

    async def may_commit(self, job_id: str, attempt: int) -> bool:
        """Whether the attempt may register its version."""
        return await self._do(lambda controller: controller.attempts.may_commit(job_id, attempt))

    async def finish(self, job_id: str, attempt: int, outcome: Outcome, last: Report) -> bool:
        """Stores how the attempt ended, and answers only then: whether the job is over."""
        return await self._do(lambda controller: controller.attempts.finish(job_id, attempt, outcome, last))

    async def until_stopped(self, job_id: str, attempt: int) -> bool:
        """Answers as soon as the attempt is no longer wanted."""
        while True:
            signal = self._changes.signal(_state_of(job_id))
            if not await self._do(lambda controller: controller.attempts.wanted(job_id, attempt)):
                return True
            await asyncio.wait([signal])

    # inside

    async def _do(self, function: Callable[[Controller], T]) -> T:
        return await asyncio.wrap_future(self._control.call(function))

    async def _watch(
        self, key: str, wait_s: float, look: Callable[[asyncio.Future[None]], Awaitable[tuple[T, bool]]]
    ) -> T:
        """Looks until there is what the caller waits for or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            signal = self._changes.signal(key)
            found, done = await look(signal)
            left_s = deadline - loop.time()
            if done or left_s <= 0:
                return found
            await asyncio.wait([signal], timeout=left_s)

    async def _until_none_runs(self, limit_s: float) -> int:
        """Waits; answers how many still run."""
        deadline = time.monotonic() + limit_s
        while True:
            left = await self._do(lambda controller: len(controller.flights.by_job))
            if not left or time.monotonic() >= deadline:
                return left
            await asyncio.sleep(DRAIN_POLL_S)

    async def _opened(self) -> JobStore:
        if self._store is None:
            # answered as soon as the store is open, or cannot be opened
            await self._do(lambda _: None)
        if self._store is None:
            raise UnavailableError(self._control.problem or "the dispatcher is starting")
        return self._store

    def _make_controller(self) -> Controller:
        if self._store is None:
            self._store = JobStore(self._settings.store_url)
            self._sender = SenderThread(WebhookSender(self._store.webhooks, self._webhooks))
        # when the controller is there: a pool may have waited for a job that ended while nobody listened
        self._later(lambda controller: self._desk(controller).reconcile())
        controller = Controller(
            self._store, self._cluster, self._logs, release_ahead=self._settings.release_ahead, changed=self._changed,
            announce=self._announce,
        )  # fmt: skip
        self._monitors = MonitorDesk(
            self._store.monitors, controller.submit, self._store.list, utc_now, pools=self._desk(controller),
            announce=self._tell_of_alarm,
        )  # fmt: skip
        controller.also = self._monitor_step
        # when the controller is there: a check may have ended while nobody listened
        self._later(lambda _: self._monitor_desk().reconcile())
        return controller

    def _announce(self, job_id: str, result: dict[str, Any]) -> Announced:
        events = of_training(job_id, result, self._settings.service_url) if "run_id" in result else []
        return [(event, self._webhooks.receivers(event)) for event in events]

    def _tell_of_alarm(self, event: WebhookEvent, only: str | None) -> None:
        if self._store is None:
            raise UnavailableError("the dispatcher is starting")
        links = {name: f"{self._settings.service_url}{path}" for name, path in event.links.items()}
        event = event.model_copy(update={"links": links})
        self._store.webhooks.add(event, self._webhooks.receivers(event) if only is None else [only])
        if self._sender is not None:
            self._sender.wake()

    def _monitor_desk(self) -> MonitorDesk:
        if self._monitors is None:
            raise UnavailableError("the dispatcher is starting")
        return self._monitors

    def _monitor_step(self) -> Sequence[Action]:
        started = [] if self._monitors is None else self._monitors.step()
        return [Action("scheduled", job_id, why) for job_id, why in started]

    def _changed(self, job_id: str, job: Job | None) -> None:
        if job is not None:
            self._metrics.changed(job)
            self._changes.announce(_state_of(job_id))
            if job.status.final and self._sender is not None:
                self._sender.wake()
            if job.status.final and POOL_TAG in job.tags:
                self._later(lambda controller: self._desk(controller).job_over(job))
            if job.status.final and MONITOR_TAG in job.tags:
                self._later(lambda _: self._monitor_desk().job_over(job))
        self._changes.announce(job_id)

    def _desk(self, controller: Controller) -> PoolDesk:
        if self._store is None:
            raise UnavailableError("the dispatcher is starting")
        return PoolDesk(self._store.pools, lambda kind, spec: controller.submit(kind, spec, None)[0], self._store.get)

    def _later(self, function: Callable[[Controller], None]) -> None:
        """Runs soon; nobody waits for it, so what it raises is for the log."""
        self._control.call(function).add_done_callback(_log_failure)

    def _task_ended(self, end: TaskEnd) -> None:
        self._control.call(lambda controller: controller.task_ended(end))


def _state_of(job_id: str) -> str:
    return f"{job_id} state"


def _log_failure(call: Future[None]) -> None:
    if not call.cancelled() and (error := call.exception()) is not None:
        logger.error("what followed from a job failed: %s", error, exc_info=error)


async def _verdict(check: Awaitable[None]) -> str:
    try:
        await asyncio.wait_for(check, HEALTH_TIMEOUT_S)
    except UnavailableError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {HEALTH_TIMEOUT_S:g} s"
    return "ok"
