"""What becomes of monitors in the dispatcher: schedules that fall due, alarms that checks find, and what is done then.

A policy decides, the desk acts, and acts by jobs: all that touches the registry, a webhook or the stream runs in a
worker. Each job carries an idempotency key made of what caused it, so that whatever is done again after a crash is not
done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from ray_app.jobs.model import Job, JobKind, JobPage, JobQuery, JobStatus, MonitorStats
from ray_app.jobs.monitors.model import ActionState, Alarm, AlarmPage, Monitor, MonitorPage
from ray_app.jobs.monitors.store import MonitorStore
from ray_app.jobs.webhooks import WebhookEvent
from training.active_learning.spec import KnownLabel, PoolSpec
from training.monitoring.cron import Cron
from training.monitoring.policy import Decision, decide, gravest
from training.monitoring.spec import MonitorSpec
from training.spec import parse_spec

logger = logging.getLogger(__name__)

MONITOR_TAG, ALARM_TAG, POOL_TAG = "monitor", "alarm", "pool"
OVER = [status for status in JobStatus if status.final]
RECONCILED_JOBS = 20
"""Newest finished jobs of each monitor that are looked at when the dispatcher starts."""
PAGE = 200


class Submit(Protocol):
    """Stores a job, or answers the one that the key made before."""

    def __call__(self, kind: JobKind, spec: dict[str, Any], idempotency_key: str | None) -> tuple[Job, bool]:
        """The job, and whether it is new."""


class Pools(Protocol):
    """Pools of rows to label, as far as an alarm needs them."""

    def open(self, spec: PoolSpec, key: str) -> str:
        """Makes a pool, once for each key; answers its id."""

    def known(self, pool_id: str) -> Sequence[KnownLabel]:
        """The labels that count so far."""


class MonitorDesk:
    """Used by the control thread alone. Every method may be interrupted and done again.

    Args:
        store: of the monitors.
        submit: of the controller.
        jobs: lists finished jobs.
        now: the time of day.
        pools: where rows are labelled.
        announce: stores an event for one webhook, or for all that want it; once for each id of an event.
    """

    def __init__(
        self, store: MonitorStore, submit: Submit, jobs: Callable[[JobQuery], JobPage], now: Callable[[], datetime],
        *, pools: Pools, announce: Callable[[WebhookEvent, str | None], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._pools = pools
        self._announce = announce
        self._submit = submit
        self._jobs = jobs
        self._now = now
        self._next_due: datetime | None = None
        self._known = False
        self._checked: dict[str, MonitorStats] = {}

    # what comes in from callers

    def put(self, spec: dict[str, Any], *, replace: bool) -> tuple[Monitor, bool]:
        """Stores a monitor; see the port."""
        checked = parse_spec(MonitorSpec, spec)
        due = {"next_report_at": self._due(checked.schedule.report)}
        due["next_retrain_at"] = self._due(checked.schedule.retrain)
        self._known = False
        return self._store.put(checked.name, checked.model_dump(mode="json"), due, replace=replace)

    def remove(self, name: str) -> None:
        """Forgets a monitor."""
        self._store.remove(name)

    def get(self, name: str) -> Monitor:
        """A monitor."""
        return self._store.get(name)

    def list(self, limit: int, cursor: str | None) -> MonitorPage:
        """A page of monitors."""
        return self._store.list(limit, cursor)

    def alarms(self, name: str, limit: int, cursor: str | None) -> AlarmPage:
        """A page of alarms."""
        return self._store.alarms(name, limit, cursor)

    def stats(self) -> Sequence[MonitorStats]:
        """Figures of all monitors, by name."""
        counts = self._store.alarm_counts()
        return [
            self._checked.get(name, MonitorStats(monitor=name)).model_copy(update={"alarms": counts[name]})
            for name in sorted(counts)
        ]

    # the loop

    def step(self) -> Sequence[tuple[str, str]]:
        """Starts what is due; says which jobs, and why. One that fell due while nobody ran is started once."""
        now = self._now()
        if self._known and (self._next_due is None or now < self._next_due):
            return []
        due, self._next_due = self._store.due(now)
        started = []
        for monitor in due:
            spec = parse_spec(MonitorSpec, monitor.spec)
            if monitor.next_report_at is not None and monitor.next_report_at <= now:
                job = self._start(spec, "check", f"{monitor.next_report_at.isoformat()}", reason="schedule")
                self._store.reschedule(monitor.name, "next_report_at", self._due(spec.schedule.report))
                started.append((job.id, f"report of {monitor.name}"))
            if monitor.next_retrain_at is not None and monitor.next_retrain_at <= now:
                job = self._start(spec, "retrain", f"{monitor.next_retrain_at.isoformat()}", reason="schedule")
                self._store.note_action(spec.name, "retrain", "started", "schedule", alarm_id=None, job_id=job.id)
                self._store.reschedule(monitor.name, "next_retrain_at", self._due(spec.schedule.retrain))
                started.append((job.id, f"retraining of {monitor.name}"))
        # only now, and again where something was due: the store knows what comes next
        self._known = not due
        return started

    def reconcile(self) -> None:
        """Settles the checks that ended while nobody listened."""
        cursor = None
        while True:
            page = self._store.list(PAGE, cursor)
            for monitor in page.items:
                query = JobQuery(status=OVER, kind="monitor", name=monitor.name, limit=RECONCILED_JOBS)
                for job in reversed(self._jobs(query).items):
                    self.job_over(job)
                for action in self._store.alarms(monitor.name, 1, None).actions:
                    if action.pool_id is not None and action.alarm_id is not None:
                        self._ask_for_confirmation(action.pool_id, action.alarm_id)
            cursor = page.next_cursor
            if cursor is None:
                return

    def job_over(self, job: Job) -> None:
        """Takes over what a job of a monitor found, or what the labels of a pool that an alarm opened have come to."""
        if job.kind != "monitor":
            pool, alarm = job.tags.get(POOL_TAG), job.tags.get(ALARM_TAG)
            if pool is not None and alarm is not None and job.status.final:
                self._ask_for_confirmation(pool, alarm)
        elif job.status is JobStatus.SUCCEEDED and job.result is not None:
            self._take_over(job, job.spec["do"], job.result)
        elif job.status.final and job.spec["do"] != "notify":  # webhooks were told before the job
            cause = job.status.value if job.error is None else f"{job.status.value}: {job.error.message}"
            self._store.note_refusal(job.id, f"the job {job.id} is {cause}")

    def _take_over(self, job: Job, do: str, result: dict[str, Any]) -> None:
        refused = next((name for name in ("train", "pool") if name in result and result[name] is None), None)
        if refused is not None or result.get("rolled_back") is False:
            self._store.note_refusal(job.id, result["reason"])
        elif do == "check":
            self._settle(job, result)
        elif do == "retrain":
            train, _ = self._submit("train", result["train"], f"monitor-train-{job.id}")
            self._store.note_training(job.id, train.id)
        elif do == "label":
            pool = self._pools.open(parse_spec(PoolSpec, result["pool"]), f"monitor-pool-{job.id}")
            self._store.note_pool(job.id, pool)
        elif do == "confirm":
            self._store.note_confirmation(result["pool"], result["confirmation"])

    def _ask_for_confirmation(self, pool: str, alarm: str) -> None:
        """Once for each number of labels."""
        action, labels = self._store.action_of(alarm, "label"), self._pools.known(pool)
        if action is None or action.pool_id != pool or not labels:
            return
        spec = parse_spec(MonitorSpec, self._store.get(action.monitor).spec)
        told = [{"id": one.id, "label": one.label} for one in labels]
        version = self._store.alarm(alarm).version
        self._start(spec, "confirm", f"{pool}-{len(told)}", labels=told, pool=pool, version=version)

    def _settle(self, job: Job, result: dict[str, Any]) -> None:
        found = [
            {
                **{name: alarm[name] for name in ("kind", "subject", "severity", "message", "value", "threshold")},
                "window_start": datetime.fromisoformat(alarm["window_start"]),
                "window_end": datetime.fromisoformat(alarm["window_end"]),
                "model": result["model"]["name"],
                "version": result["model"]["version"],
            }
            for alarm in result["alarms"]
        ]
        alarmed = len({alarm["window_start"] for alarm in found})
        windows = {"quiet": result["windows"] - alarmed, "alarmed": alarmed}
        self._checked[job.name] = MonitorStats(monitor=job.name, windows=windows, checked_at=job.finished_at)
        fresh = self._store.record(job.name, found, job.id)
        if fresh:
            spec = parse_spec(MonitorSpec, job.spec["monitor"])
            for decision in decide(spec.policy, gravest(fresh), self._history(spec.name)):
                self._act(spec, decision, gravest(fresh))

    def _history(self, name: str) -> Callable[[str, float], Sequence[float]]:
        """Seconds since the actions of a kind in a period, newest first."""

        def ages_s(action: str, period_s: float) -> Sequence[float]:
            times = self._store.started_since(name, action, period_s)
            return [(self._now() - time).total_seconds() for time in times]

        return ages_s

    def _act(self, spec: MonitorSpec, decision: Decision, alarm: Alarm) -> None:
        if self._store.action_of(alarm.id, decision.action) is not None:
            return
        job_id = None
        if decision.goes and decision.action == "notify":
            self._announce(_event(alarm), spec.policy.webhook)
        if decision.goes:
            more = {"alarm": alarm.model_dump(mode="json")}
            job_id = self._start(spec, decision.action, alarm.id, reason=alarm.message, **more).id
        state: ActionState = "started" if decision.goes else "suppressed"
        self._store.note_action(
            spec.name, decision.action, state, decision.reason, alarm_id=alarm.id, job_id=job_id
        )  # fmt: skip

    def _start(self, spec: MonitorSpec, do: str, cause: str, **more: Any) -> Job:
        job_spec = {
            "name": spec.name, "do": do, "monitor": spec.model_dump(mode="json"), "tags": {MONITOR_TAG: spec.name},
            **more,
        }  # fmt: skip
        job, _ = self._submit("monitor", job_spec, f"monitor-{do}-{spec.name}-{cause}")
        return job

    def _due(self, cron: str | None) -> datetime | None:
        return None if cron is None else Cron.parse(cron).next_after(self._now())


def _event(alarm: Alarm) -> WebhookEvent:
    """What webhooks are told; the id follows from the alarm's, so that telling it twice tells it once."""
    path = f"/api/v1/monitors/{alarm.monitor}"
    return WebhookEvent(
        id=f"evt_{alarm.id}", type="monitor.alarm", created_at=alarm.created_at, model=alarm.model,
        version=alarm.version, data=alarm.model_dump(mode="json"),
        links={"alarms": f"{path}/alarms", "report": f"{path}/report"},
    )  # fmt: skip
