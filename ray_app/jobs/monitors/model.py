"""What a monitor, its alarms and its actions are on the wire and between processes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ray_app.jobs.model import WireModel

ActionState = Literal["started", "suppressed"]
Schedule = Literal["report", "retrain"]


class Monitor(WireModel):
    """A monitor."""

    name: str
    spec: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    next_report_at: datetime | None = None
    """When the schedule checks it next."""
    next_retrain_at: datetime | None = None
    links: dict[str, str] = {}


class MonitorPage(WireModel):
    """A page of monitors, by name."""

    items: list[Monitor]
    next_cursor: str | None = None


class Alarm(WireModel):
    """Something in a window that the reference does not explain; recorded once, however often the window is checked."""

    id: str
    monitor: str
    model: str
    version: str
    window_start: datetime
    window_end: datetime
    kind: str
    subject: str
    severity: Literal["warning", "critical"]
    message: str
    value: float
    threshold: float
    created_at: datetime
    job_id: str
    """The check that found it."""


class MonitorAction(WireModel):
    """What was done about alarms, or not done and why; `alarm_id` is None where a schedule asked for it."""

    id: str
    monitor: str
    action: str
    state: ActionState
    reason: str
    alarm_id: str | None = None
    created_at: datetime
    job_id: str | None = None
    """The job that does it."""
    train_job_id: str | None = None
    """The training that came of it, and through it the version."""
    pool_id: str | None = None
    """The pool that it opened."""
    confirmation: dict[str, Any] | None = None
    """What the pool's labels say so far: `labels`, `expected_loss`, `observed_loss`, `p_value`, `concept_drift`."""


class AlarmPage(WireModel):
    """Alarms, newest first, with the actions that followed."""

    items: list[Alarm]
    actions: list[MonitorAction]
    next_cursor: str | None = None
