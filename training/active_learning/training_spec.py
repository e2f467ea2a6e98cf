"""From the labels of a pool to an ordinary training job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.active_learning.spec import KnownLabel, PoolSpec
from training.spec import PART_COLUMN, PoolLabel, TrainSpec, parse_spec


def train_spec(plan: PoolSpec, labels: Sequence[KnownLabel], tags: dict[str, str]) -> TrainSpec:
    """The job that trains on all labels, and is measured on the frozen test rows alone."""
    data = plan.data
    source = {
        "type": "pool", "rows": data.source.model_dump(mode="json"),
        "labelled": None if data.labelled is None else data.labelled.model_dump(mode="json"),
        "id_column": data.id_column, "target": data.target,
        "labels": [PoolLabel(id=one.id, label=one.label, part=one.part, row_hash=one.row_hash).model_dump(mode="json")
                   for one in labels],
    }  # fmt: skip
    return parse_spec(TrainSpec, _raw(plan, tags) | {"data": data_part(plan) | {"source": source}})


def data_part(plan: PoolSpec) -> dict[str, Any]:
    """The `data` part of the job without its source."""
    data = plan.data
    return {
        "target": data.target, "task": data.task, "positive_class": data.positive_class, "include": data.include,
        "exclude": [*data.exclude, *([data.cost_column] if data.cost_column else [])], "id_column": data.id_column,
        "group_column": data.group_column,
    }  # fmt: skip


def _raw(plan: PoolSpec, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "name": plan.name,
        "split": {"strategy": "predefined", "column": PART_COLUMN, "seed": plan.seed},
        "model": plan.model.model_dump(mode="json"),
        "resources": plan.resources.model_dump(mode="json"),
        "tags": tags,
    }
