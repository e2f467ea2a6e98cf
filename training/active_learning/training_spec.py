"""From the labels of a pool to an ordinary training job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.active_learning.spec import KnownLabel, PoolSpec
from training.spec import PART_COLUMN, PoolLabel, TrainSpec, parse_spec

LATER_SHARE = 4
"""A search that begins where the last one ended tries one trial for so many of the first."""
LEAST_TRIALS = 8
"""The default, the best four of the searches before, and some new ones."""


def train_spec(
    plan: PoolSpec, labels: Sequence[KnownLabel], tags: dict[str, str], *, again: bool = False
) -> TrainSpec:  # fmt: skip
    """The job that trains on all labels, and is measured on the frozen test rows alone.

    Args:
        plan: of the pool.
        labels: those that count.
        tags: of the job.
        again: whether the pool has had a model: then a search begins with the best configurations of the last.
    """
    data = plan.data
    source = {
        "type": "pool", "rows": data.source.model_dump(mode="json"),
        "labelled": None if data.labelled is None else data.labelled.model_dump(mode="json"),
        "id_column": data.id_column, "target": data.target,
        "labels": [PoolLabel(id=one.id, label=one.label, part=one.part, row_hash=one.row_hash).model_dump(mode="json")
                   for one in labels],
    }  # fmt: skip
    return parse_spec(
        TrainSpec, _raw(plan, tags) | {"data": data_part(plan) | {"source": source}, "tune": _search(plan, again=again)}
    )


def data_part(plan: PoolSpec) -> dict[str, Any]:
    """The `data` part of the job without its source."""
    data = plan.data
    return {
        "target": data.target, "task": data.task, "positive_class": data.positive_class, "include": data.include,
        "exclude": [*data.exclude, *([data.cost_column] if data.cost_column else [])], "id_column": data.id_column,
        "group_column": data.group_column,
    }  # fmt: skip


def _search(plan: PoolSpec, *, again: bool) -> dict[str, Any] | None:
    """Trees or weights that were learnt from a tenth of the labels are no start: what goes on from them is worse on new
    rows than what begins anew (Ash and Adams 2020, "On Warm-Starting Neural Network Training", arXiv:1910.08475), and
    knows no class of a column that came later. What is taken over is what the search has found out."""
    if plan.tune is None:
        return None
    tune = plan.tune
    # a grid has its own number of trials
    if again and tune.warm_start and tune.searcher != "grid":
        fewer = min(tune.num_trials, max(LEAST_TRIALS, tune.num_trials // LATER_SHARE))
        tune = tune.model_copy(update={"num_trials": fewer})
    return tune.model_dump(mode="json")


def _raw(plan: PoolSpec, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "name": plan.name,
        "split": {"strategy": "predefined", "column": PART_COLUMN, "seed": plan.seed},
        "model": plan.model.model_dump(mode="json"),
        "resources": plan.resources.model_dump(mode="json"),
        "tags": tags,
    }
