"""The jobs port over the real job store on SQLite, without Ray: what the dispatcher does between a submit and a final
state is done by the test through `store`. (The dispatcher itself is a Ray actor; it is behind the API in
tests/integration.)"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from ray_app.dispatcher.monitor_desk import MonitorDesk
from ray_app.dispatcher.pool_client import PoolsClient
from ray_app.dispatcher.pool_desk import CHANGES, PoolDesk, PoolMethod
from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobQuery, JobStats, LogChunk
from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage
from ray_app.jobs.store import JobStore
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, WebhookEvent
from ray_app.services.webhooks import WebhookList
from training.errors import ConflictError, TrainingError

LOOK_S = 0.01


class StoreJobs:
    """Each call opens a thread, as the dispatcher's client would leave the event loop."""

    def __init__(self, store_url: str) -> None:
        self.store = JobStore(store_url)
        self.pools = PoolsClient(self._pool, self)
        self.logs: dict[str, bytes] = {}
        self.away: TrainingError | None = None
        self.on_submit: Callable[[Job], None] = lambda job: None
        self.on_over: Callable[[Job], None] = lambda job: None
        self.open_waits = 0
        self.webhooks = WebhookList(None)

    async def submit(
        self, kind: JobKind, spec: dict[str, Any], *, idempotency_key: str | None = None, retry_of: str | None = None
    ) -> tuple[Job, bool]:
        name = spec.get("name") or spec["model"]["name"]
        job, is_new = await self._call(
            lambda: self.store.create(
                kind, name, spec, priority=spec["priority"], tags=spec["tags"], idempotency_key=idempotency_key,
                retry_of=retry_of,
            )
        )  # fmt: skip
        if is_new:
            self.on_submit(job)
        return job, is_new

    async def publish(self, event: WebhookEvent) -> None:
        await self._call(lambda: self.store.webhooks.add(event, self.webhooks.receivers(event)))

    async def deliveries(self, status: DeliveryStatus | None, limit: int, cursor: str | None) -> DeliveryPage:
        return await self._call(lambda: self.store.webhooks.page(status, limit, cursor))

    async def replay(self, delivery_id: str) -> Delivery:
        return await self._call(lambda: self.store.webhooks.replay(delivery_id))

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        return await self._until(lambda: self.store.get(job_id), lambda job: job.status.final, wait_s)

    async def list(self, query: JobQuery) -> JobPage:
        return await self._call(lambda: self.store.list(query))

    async def active(self, tag: str) -> int:
        return int(await self._call(lambda: self.store.active(tag)))

    async def cancel(self, job_id: str) -> Job:
        return await self._call(lambda: self.store.request_cancel(job_id))

    async def retry(self, job_id: str) -> Job:
        job = await self.get(job_id)
        if job.status not in {"FAILED", "CANCELLED"}:
            raise ConflictError(f"{job_id} is {job.status}; only a FAILED or CANCELLED job can be retried")
        return (await self.submit(job.kind, job.spec, retry_of=job_id))[0]

    async def events(self, job_id: str, *, after: int = 0, wait_s: float = 0) -> Sequence[JobEvent]:
        return await self._until(lambda: self.store.events(job_id, after), bool, wait_s)

    async def log(self, job_id: str, *, offset: int = 0, wait_s: float = 0) -> LogChunk:
        def read() -> LogChunk:
            final = self.store.get(job_id).status.final
            text = self.logs.get(job_id, b"")[offset:]
            return LogChunk(text=text.decode(), next_offset=offset + len(text), final=final)

        return await self._until(read, lambda chunk: bool(chunk.text) or chunk.final, wait_s)

    async def stats(self) -> JobStats:
        counts = await self._call(self.store.counts)
        return JobStats(by_status=counts, oldest_pending_s=await self._call(self.store.oldest_pending_s))

    async def health(self) -> dict[str, str]:
        await self._call(self.store.health)
        return {"store": "ok", "cluster": "ok"}

    async def _pool(self, method: PoolMethod, *arguments: Any, **options: Any) -> Any:
        """As the dispatcher does it."""
        target = self.pool_desk() if method in CHANGES else self.store.pools
        return await self._call(lambda: getattr(target, method)(*arguments, **options))

    def _make(self, kind: JobKind, spec: dict[str, Any]) -> Job:
        return self.store.create(kind, spec["name"], spec, priority=spec["priority"], tags=spec["tags"])[0]

    def over(self, job_id: str) -> None:
        """What the dispatcher hears when a job has ended."""
        job = self.store.get(job_id)
        self.pool_desk().job_over(job)
        self.on_over(job)

    def pool_desk(self) -> PoolDesk:
        """As the dispatcher makes it."""
        return PoolDesk(self.store.pools, self._make, self.store.get)

    async def _call(self, read: Callable[[], Any]) -> Any:
        if self.away is not None:
            raise self.away
        return await asyncio.to_thread(read)

    async def _until(self, read: Callable[[], Any], done: Callable[[Any], bool], wait_s: float) -> Any:
        deadline = time.monotonic() + wait_s
        self.open_waits += 1
        try:
            while True:
                found = await self._call(read)
                if done(found) or time.monotonic() >= deadline:
                    return found
                await asyncio.sleep(LOOK_S)
        finally:
            self.open_waits -= 1


class StoreMonitors:
    """The monitors port over the dispatcher's own desk and the store of `jobs`, without Ray."""

    def __init__(self, jobs: StoreJobs) -> None:
        def submit(kind: JobKind, spec: dict[str, Any], key: str | None) -> tuple[Job, bool]:
            job, new = jobs.store.create(kind, spec["name"], spec, tags=spec.get("tags"), idempotency_key=key)
            if new:
                jobs.on_submit(job)
            return job, new

        def announce(event: WebhookEvent, only: str | None) -> None:
            jobs.store.webhooks.add(event, jobs.webhooks.receivers(event) if only is None else [only])

        self.desk = MonitorDesk(
            jobs.store.monitors,
            submit,
            jobs.store.list,
            lambda: datetime.now(UTC),
            pools=jobs.pool_desk(),
            announce=announce,
        )
        jobs.on_over = self.desk.job_over

    async def put(self, spec: dict[str, Any], *, replace: bool) -> tuple[Monitor, bool]:
        return await asyncio.to_thread(lambda: self.desk.put(spec, replace=replace))

    async def get(self, name: str) -> Monitor:
        return await asyncio.to_thread(self.desk.get, name)

    async def list(self, limit: int, cursor: str | None) -> MonitorPage:
        return await asyncio.to_thread(self.desk.list, limit, cursor)

    async def remove(self, name: str) -> None:
        await asyncio.to_thread(self.desk.remove, name)

    async def alarms(self, name: str, limit: int, cursor: str | None) -> AlarmPage:
        return await asyncio.to_thread(self.desk.alarms, name, limit, cursor)
