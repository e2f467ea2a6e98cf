"""What a monitor is: which model is watched, in which windows, how strictly, and what is done about an alarm."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from training.monitoring.cron import Cron
from training.spec.base import SpecModel
from training.spec.job import ModelName, ModelReference

Severity = Literal["warning", "critical"]
Action = Literal["notify", "label", "retrain", "rollback"]
DriftTestName = Literal["ks", "wasserstein", "jensen_shannon", "psi", "chi_square"]
"""Written out, for the tests themselves load scipy, and the dispatcher reads specs too; a test holds them equal."""
TrainingWindow = Literal["auto", "expanding", "rolling", "recency"]

DAY_S = 86_400.0


class WindowSpec(SpecModel):
    """Predictions are looked at in windows: of a length of time, or of a number of rows in the order of time."""

    duration_s: Annotated[float, Field(ge=60, le=366 * DAY_S)] | None = None
    """Windows of this length, aligned to 1970-01-01T00:00Z."""
    rows: Annotated[int, Field(ge=50, le=1_000_000)] | None = None
    """Windows of so many rows; the last one counts when it is full."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.duration_s is not None and self.rows is not None:
            raise ValueError("give duration_s or rows, not both")
        return self

    @property
    def length_s(self) -> float:
        """Length of a window of time."""
        return self.duration_s or DAY_S


class PolicySpec(SpecModel):
    """What follows an alarm, beside its being recorded."""

    actions: list[Action] = ["notify"]
    """notify: the webhook and a tag of the version in MLflow. label: opens a pool of the rows where the estimated loss
    grew. retrain: a training job on the labelled stream, through the gate. rollback: back to the previous champion."""
    min_severity: Severity = "critical"
    """For all actions but notify."""
    cooldown_s: Annotated[float, Field(ge=0, le=366 * DAY_S)] = DAY_S
    """After an action of a kind, the same kind waits so long."""
    max_actions: Annotated[int, Field(ge=0, le=1000)] = 5
    """Actions of a kind in `budget_period_s`."""
    budget_period_s: Annotated[float, Field(gt=0, le=366 * DAY_S)] = 30 * DAY_S
    webhook: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")] | None = None
    """Id of the operator's webhook that hears of alarms. Default: all that want `monitor.alarm`."""
    training_window: TrainingWindow = "auto"
    """Which labelled rows a retraining uses; `auto` chooses by back-testing."""
    min_labelled_rows: Annotated[int, Field(ge=50)] = 200
    """A retraining with fewer is put off."""


class ScheduleSpec(SpecModel):
    """Times of day in UTC, as five fields of cron: minute, hour, day of month, month, day of week."""

    report: str | None = None
    """Checks the windows that have closed."""
    retrain: str | None = None
    """Trains anew on the labelled stream."""

    @field_validator("report", "retrain")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is not None:
            Cron.parse(value)
        return value


class MonitorSpec(SpecModel):
    """A monitor. Only `name` and `model.name` are required."""

    name: ModelName
    model: ModelReference
    """Whose predictions come in where a row names no version; the champion by default."""
    window: WindowSpec = WindowSpec()
    tests: Annotated[list[DriftTestName], Field(min_length=1)] = ["ks", "chi_square"]
    """Tests of drift that decide, each for columns that it fits: ks, wasserstein, jensen_shannon, psi, chi_square."""
    slices: Annotated[list[str], Field(max_length=10)] = []
    """Features whose values are reported one by one."""
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Share of windows that may raise an alarm although nothing has changed."""
    max_rows_per_window: Annotated[int, Field(ge=1000)] = 100_000
    """More are sampled, evenly by id; the report says so."""
    min_rows_per_window: Annotated[int, Field(ge=20)] = 50
    """A window with fewer is shown and not judged."""
    retention_s: Annotated[float, Field(ge=DAY_S)] | None = None
    """Batches all of whose rows are older are deleted by the next check; null keeps them."""
    policy: PolicySpec = PolicySpec()
    schedule: ScheduleSpec = ScheduleSpec()

    @field_validator("tests")
    @classmethod
    def _once_each(cls, names: list[DriftTestName]) -> list[DriftTestName]:
        return list(dict.fromkeys(names))
