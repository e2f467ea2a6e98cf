"""Monitors: predictions and outcomes come in, reports and alarms go out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray_app.jobs.model import Job
from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage
from ray_app.jobs.monitors.port import Monitors
from ray_app.jobs.port import Jobs
from ray_app.services.pool import BoundedPool, OverloadedError
from ray_app.services.webhooks import WebhookList
from training.errors import NotFoundError, SpecError, nearest
from training.monitoring.check import read_report, report_key, report_path
from training.monitoring.inflow import Receiver
from training.monitoring.profile import PROFILE_FILE, ReferenceProfile
from training.monitoring.results import InflowReceipt, MonitorReport
from training.monitoring.schema import MonitoredSchema
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import Stream, StreamStore
from training.registry import Registry
from training.registry.model import VersionInfo
from training.spec import parse_spec

FRESH_S = 5.0
"""How long a monitor and the version behind its alias are remembered: a batch needs no call to the dispatcher."""
MAX_OPEN_BODIES = 8
"""Batches that are read into memory at once by one process; more are refused with 429."""
MAX_REMEMBERED = 256


@dataclass(frozen=True)
class Target:
    """What a batch is checked against."""

    spec: MonitorSpec
    version: VersionInfo
    schema: MonitoredSchema


class MonitorService:
    """For the event loop: what blocks runs in a bounded pool of threads.

    Args:
        monitors: of the dispatcher.
        jobs: of the dispatcher.
        registry: where versions and their profiles are.
        artifact_uri: where streams are kept.
        pool: for reading batches and files.
        webhooks: of the operator.
    """

    def __init__(
        self, monitors: Monitors, jobs: Jobs, registry: Registry, artifact_uri: str, pool: BoundedPool,
        *, webhooks: WebhookList,
    ) -> None:  # fmt: skip
        self._webhooks = webhooks
        self._monitors = monitors
        self._jobs = jobs
        self._registry = registry
        self._artifact_uri = artifact_uri
        self._pool = pool
        self._open_bodies = 0
        self._targets: dict[str, tuple[float, Target]] = {}
        self._schemas: dict[tuple[str, str], MonitoredSchema] = {}
        self._versions: set[tuple[str, str]] = set()

    async def put(self, raw: Any, *, replace: bool, name: str | None = None) -> tuple[Monitor, bool]:
        """Stores a monitor; the flag says whether it is new.

        Raises:
            SpecError: the spec cannot work.
            NotFoundError: no such model, version or alias, or the version has no reference profile.
            ConflictError: it is there with another spec, and is not to be replaced.
        """
        spec = parse_spec(MonitorSpec, raw)
        if name is not None and spec.name != name:
            raise SpecError.at("name", spec.name, f"the address names {name}", hint="A monitor cannot be renamed.")
        webhook, known = spec.policy.webhook, self._webhooks.now()
        if webhook is not None and webhook not in known:
            hint = "The operator lists webhooks in the file of MTS_WEBHOOKS_FILE."
            raise SpecError.at("policy.webhook", webhook, f"no webhook has this id{nearest(webhook, known)}", hint=hint)
        await self._pool.run(self._check, spec)
        monitor, new = await self._monitors.put(spec.model_dump(mode="json"), replace=replace)
        self._targets.pop(spec.name, None)
        return _linked(monitor), new

    async def get(self, name: str) -> Monitor:
        """A monitor."""
        return _linked(await self._monitors.get(name))

    async def page(self, *, limit: int, cursor: str | None) -> MonitorPage:
        """A page of monitors."""
        page = await self._monitors.list(limit, cursor)
        return page.model_copy(update={"items": [_linked(monitor) for monitor in page.items]})

    async def remove(self, name: str) -> None:
        """Forgets a monitor and deletes its stream.

        Raises:
            NotFoundError: no such monitor.
        """
        await self._monitors.get(name)
        await self._monitors.remove(name)
        self._targets.pop(name, None)
        await self._pool.run(self._store(name).remove)

    async def alarms(self, name: str, *, limit: int, cursor: str | None) -> AlarmPage:
        """A page of alarms."""
        return await self._monitors.alarms(name, limit, cursor)

    @contextmanager
    def place_for_a_body(self) -> Iterator[None]:
        """Held while a batch is read and kept.

        Raises:
            OverloadedError: there are too many at once.
        """
        if self._open_bodies >= MAX_OPEN_BODIES:
            raise OverloadedError("too many batches at once", hint="Try again in a second; nothing of it was kept.")
        self._open_bodies += 1
        try:
            yield
        finally:
            self._open_bodies -= 1

    async def receive(self, name: str, stream: Stream, body: bytes, content_type: str) -> InflowReceipt:
        """Keeps a batch; answers when it is on disk.

        Raises:
            NotFoundError: no such monitor.
            BodyError, BatchTooLargeError, DataError: the batch cannot be used; nothing of it was kept.
        """
        target = await self._target(name)
        return await self._pool.run(self._receive, target, stream, body, content_type)

    async def report(self, name: str, *, wait_s: float) -> tuple[MonitorReport | None, Job | None]:
        """The report of the stream as it is: from the store, else by a check that is waited for.

        Returns:
            The report; or None and the job, which is not over yet or has failed.
        """
        target = await self._target(name)
        found = await self._pool.run(self._current, target)
        if found is not None:
            return found, None
        job = await self._check_job(target)
        if wait_s > 0:
            job = await self._jobs.get(job.id, wait_s=wait_s)
        if job.result is None:
            return None, job
        return await self._pool.run(read_report, self._store(name), target.version.version), job

    async def page_of_report(self, report: MonitorReport) -> bytes:
        """The report as HTML."""
        path = report_path(report.model["version"], "html")
        body = await self._pool.run(self._store(report.monitor).read_file, path)
        if body is None:
            raise NotFoundError(f"the page of the report of {report.monitor} is gone", hint="Ask for the report again.")
        return body

    async def _check_job(self, target: Target) -> Job:
        """A check of the present stream; all who ask for the same within a minute share one."""
        key = await self._pool.run(self._key, target)
        spec = {
            "name": target.spec.name, "do": "check", "monitor": target.spec.model_dump(mode="json"),
            "version": target.version.version, "tags": {"monitor": target.spec.name}, "priority": 0, "max_retries": 2,
        }  # fmt: skip
        job, _ = await self._jobs.submit("monitor", spec, idempotency_key=f"report-{key}-{int(time.time() // 60)}")
        return job

    async def _target(self, name: str) -> Target:
        remembered = self._targets.get(name)
        if remembered is not None and time.monotonic() - remembered[0] < FRESH_S:
            return remembered[1]
        monitor = await self._monitors.get(name)
        target = await self._pool.run(self._check, parse_spec(MonitorSpec, monitor.spec))
        if len(self._targets) >= MAX_REMEMBERED:
            self._targets.clear()
        self._targets[name] = (time.monotonic(), target)
        return target

    def _check(self, spec: MonitorSpec) -> Target:
        wanted = spec.model
        info = self._registry.resolve(wanted.name, version=wanted.version, alias=wanted.alias)
        schema = self._schema(info)
        names = [feature.name for feature in schema.features]
        for column in spec.slices:
            if column not in names:
                raise SpecError.at("slices", column, f"no feature of the model{nearest(column, names)}")
        return Target(spec, info, schema)

    def _schema(self, info: VersionInfo) -> MonitoredSchema:
        key = (info.name, info.version)
        if key not in self._schemas:
            try:
                body = self._registry.read_file(info, PROFILE_FILE)
            except NotFoundError:
                hint = "Train a version with this release, and monitor that."
                missing = f"version {info.version} of {info.name} has no reference profile"
                raise NotFoundError(missing, hint=hint) from None
            if len(self._schemas) >= MAX_REMEMBERED:
                self._schemas.clear()
            self._schemas[key] = ReferenceProfile.parsed(body).schema
        return self._schemas[key]

    def _receive(self, target: Target, stream: Stream, body: bytes, content_type: str) -> InflowReceipt:
        now = datetime.now(UTC)
        receiver = Receiver(target.schema, target.version.version, self._is_version(target), now)
        read = receiver.predictions if stream == "predictions" else receiver.outcomes
        batch = read(body, content_type)
        receipt = self._store(target.spec.name).append(stream, batch.table, now)
        return InflowReceipt(
            accepted=receipt.rows, repeated=receipt.repeated, duplicates=batch.repeated, ignored=list(batch.ignored),
            newest=receipt.newest,
        )  # fmt: skip

    def _is_version(self, target: Target) -> Callable[[str], bool]:
        name = target.spec.model.name

        def known(version: str) -> bool:
            if version == target.version.version or (name, version) in self._versions:
                return True
            if not version.isdecimal():
                return False
            try:
                self._registry.version(name, version)
            except NotFoundError:
                return False
            self._versions.add((name, version))
            return True

        return known

    def _key(self, target: Target) -> str:
        fingerprint = self._store(target.spec.name).fingerprint()
        return report_key(target.spec, target.version.version, fingerprint, datetime.now(UTC))

    def _current(self, target: Target) -> MonitorReport | None:
        """The newest report, if nothing has changed since."""
        report = read_report(self._store(target.spec.name), target.version.version)
        return report if report is not None and report.fingerprint == self._key(target) else None

    def _store(self, name: str) -> StreamStore:
        return StreamStore(self._artifact_uri, name)


def _linked(monitor: Monitor) -> Monitor:
    path = f"/api/v1/monitors/{monitor.name}"
    return monitor.model_copy(update={"links": {"report": f"{path}/report", "alarms": f"{path}/alarms"}})
