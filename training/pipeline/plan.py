"""What a job would do, without doing it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from training.data import Dataset, load
from training.evaluation import primary_metric
from training.pipeline.findings import stop_on
from training.pipeline.prepare import decide, inspect
from training.pipeline.take import room_for, wanted_columns
from training.pipeline.warm_start import earlier_configs
from training.pipeline.workplace import Workplace
from training.result import DataSummary
from training.spec import TrainSpec
from training.tuning import plan_study


class PlannedColumn(BaseModel):
    """What a column is and what it is used for."""

    name: str
    kind: str
    role: str
    reason: str = ""


class Plan(BaseModel):
    """The answer of a dry run."""

    spec: dict[str, Any]
    """The spec with every default filled in."""
    task: str
    classes: list[str]
    primary_metric: str
    data: DataSummary
    columns: list[PlannedColumn]
    model: dict[str, Any]
    engine: str
    resources: dict[str, Any]
    warnings: list[str]


def check_ahead(spec: TrainSpec, workplace: Workplace) -> None:
    """Refuses what the job would refuse, but for the checks of `validation`; tells nothing, so that it is fast.

    Raises:
        SpecError, DataError: as the job would.
    """
    _check_warm_start(spec, workplace, decide(_loaded(spec, workplace), spec).schema.task)


def plan(spec: TrainSpec, workplace: Workplace) -> Plan:
    """Reads and checks the data as the job would; nothing is fitted or written.

    Raises:
        SpecError, DataError: as the job would.
    """
    checked = inspect(_loaded(spec, workplace), spec)
    stop_on(checked.findings, spec)
    schema = checked.schema
    _check_warm_start(spec, workplace, schema.task)
    return Plan(
        spec=spec.model_dump(mode="json"),
        task=schema.task,
        classes=list(schema.classes),
        primary_metric=spec.promotion.metric or primary_metric(schema.task),
        data=checked.summary(),
        columns=[PlannedColumn(name=c.name, kind=c.kind, role=c.role, reason=c.reason) for c in schema.columns],
        model=spec.model.model_dump(mode="json"),
        engine=spec.resources.engine_for(spec.model.family),
        resources=spec.resources.model_dump(mode="json"),
        warnings=list(checked.warnings),
    )


def _loaded(spec: TrainSpec, workplace: Workplace) -> Dataset:
    columns = wanted_columns(spec)
    return load(spec.data.source, workplace.access, columns=columns, frame_bytes=room_for(spec))


def _check_warm_start(spec: TrainSpec, workplace: Workplace, task: str) -> None:
    if spec.tune is not None and spec.tune.warm_start_from is not None:
        earlier_configs(workplace.registry, spec, plan_study(spec, task))
