"""One look over a pool: the rows to label next, and what the labels so far have brought."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from training.active_learning.arms import Arms
from training.active_learning.reasons import reasons
from training.active_learning.rows import Indices, PoolRows, cells, read_pool
from training.active_learning.signals import signals
from training.active_learning.spec import KnownLabel, PoolSpec, QuerySpec
from training.active_learning.strategies import STRATEGIES, Picks, strategy_of
from training.active_learning.training_spec import data_part
from training.active_learning.view import View
from training.data import DataAccess, infer_schema
from training.data.row_ids import mark_text
from training.errors import SpecError
from training.events import Observer
from training.mts_scoring.columns import Feature
from training.mts_scoring.model import ScoringModel
from training.spec import DataSpec, SplitSpec

logger = logging.getLogger("training")

PROFILED_ROWS = 20_000
"""Rows from which the kinds of columns are found out; a registered model brings its own."""

LoadModel = Callable[[str], ScoringModel]


def check_plan(plan: PoolSpec) -> None:
    """Whether the strategy fits the task and the model.

    Raises:
        SpecError: it does not.
    """
    strategy_of(plan.strategy, plan.data.task).check(plan.data.task, plan.model)
    if plan.strategy == "cost_aware" and plan.data.cost_column is None:
        raise SpecError.at("data.cost_column", None, "cost_aware needs a column with costs here", hint="Name it.")


def run_query(spec: QuerySpec, access: DataAccess, load_model: LoadModel, observer: Observer) -> dict[str, Any]:
    """Runs a query job.

    Args:
        spec: what is asked.
        access: what the operator allows to read.
        load_model: gives the model of a version.
        observer: hears of progress, and may end the job.

    Returns:
        {"rows", "sha256", "items", "changed", "left", "evidence"}, as JSON types.

    Raises:
        SpecError, DataError: the pool cannot be used.
    """
    observer.phase("load")
    check_plan(spec.plan)
    pool = read_pool(spec.plan.data, access)
    labels, changed = _unchanged(pool, spec.labels)
    if changed:
        logger.warning("%s labelled rows have changed in the source since: %s", len(changed), ", ".join(changed[:10]))
    observer.phase("fit")
    model = load_model(spec.version) if spec.version else None
    items, left = _Chooser(spec, pool, labels, model).items()
    observer.progress(0.5)
    observer.phase("evaluate")
    evidence = None
    if spec.measure and model is not None:
        before = load_model(spec.previous) if spec.previous else None
        evidence = Arms(spec.plan, pool, labels, access, observer).evidence()
        evidence |= signals(pool.frame, model, before, spec.plan.seed)
    return {
        "rows": len(pool), "sha256": pool.sha256, "items": items, "changed": changed, "left": left,
        "evidence": evidence,
    }  # fmt: skip


def _unchanged(pool: PoolRows, labels: Sequence[KnownLabel]) -> tuple[list[KnownLabel], list[str]]:
    kept: list[KnownLabel] = []
    changed: list[KnownLabel] = []
    for one in labels:
        place = pool.places.get(one.id)
        same = place is not None and one.row_hash in {None, mark_text(pool.marks[place])}
        (kept if same else changed).append(one)
    return kept, [one.id for one in changed]


class _Chooser:
    """Chooses test rows, then random rows, then those of the strategy: none of them twice."""

    def __init__(
        self, spec: QuerySpec, pool: PoolRows, labels: Sequence[KnownLabel], model: ScoringModel | None
    ) -> None:
        self._spec = spec
        self._plan = spec.plan
        self._pool = pool
        self._labels = labels
        self._model = model
        self._seed = spec.plan.seed + spec.round
        places = pool.places
        self._free = np.ones(len(pool), dtype=bool)
        known = [*spec.handled, *(one.id for one in labels)]
        self._free[[places[name] for name in known if name in places]] = False
        self._take_groups([places[name] for name in self._test_ids() if name in places])
        self._features = features_of(pool.frame, spec.plan)

    def items(self) -> tuple[list[dict[str, Any]], int]:
        """The chosen rows for labellers, in the order in which to show them, and how many candidates are left."""
        take = self._spec.take
        found: list[dict[str, Any]] = []
        if take.test:
            rows = self._random(take.test)
            self._take_groups(rows)
            found += self._described("test", Picks(rows, np.ones(len(rows))), "random")
        random = self._random(take.random)
        controls = self._described("random", Picks(random, np.ones(len(random))), "random")
        name = strategy_of(self._plan.strategy, self._plan.data.task).name if self._model else "representative"
        if self._plan.strategy == "random":
            name = "random"
        chosen = self._described("active", self._picked(name, take.active), name)
        return found + _mixed(chosen, controls), int(self._free.sum())

    def _random(self, size: int) -> Indices:
        order = np.random.default_rng([self._seed, size]).permutation(np.flatnonzero(self._free))[:size]
        self._free[order] = False
        return order

    def _picked(self, name: str, size: int) -> Picks:
        candidates = np.flatnonzero(self._free)
        if not size or not len(candidates):
            return Picks(np.empty(0, np.int64), np.empty(0))
        found = STRATEGIES[name].pick(self._view(candidates), min(size, len(candidates)))
        rows = candidates[found.rows]
        self._free[rows] = False
        return Picks(rows, found.scores)

    def _view(self, rows: Indices) -> View:
        pool, data = self._pool, self._plan.data
        train = [one for one in self._labels if one.arm != "test"]
        targets = [
            float(one.label) if data.task == "regression" else float(data.classes.index(str(one.label)))
            for one in train
        ]
        return View(
            frame=pool.frame.take(rows).reset_index(drop=True),
            features=self._features,
            duplicates=pd.factorize(pool.marks[rows])[0].astype(np.int64),
            groups=None if pool.groups is None else pool.groups[rows],
            costs=None if pool.costs is None else pool.costs[rows],
            model=self._model,
            labelled=pool.frame.take(np.array([pool.places[one.id] for one in train], dtype=np.int64)),
            targets=np.asarray(targets, dtype=np.float64),
            max_per_group=self._plan.max_per_group,
            seed=self._seed,
        )

    def _described(self, part: str, picks: Picks, strategy: str) -> list[dict[str, Any]]:
        if not len(picks.rows):
            return []
        pool, data = self._pool, self._plan.data
        names = data.show or [str(name) for name in pool.frame.columns]
        whys: list[dict[str, Any]] = [{} for _ in picks.rows]
        if part == "active":
            whys = reasons(self._view(picks.rows), [one.id for one in self._labels if one.arm != "test"])
        return [
            {
                "id": pool.ids[row], "part": part, "score": float(score), "why": {"strategy": strategy} | why,
                "cells": cells(pool.frame, int(row), names), "row_hash": mark_text(pool.marks[row]),
                "cost": self._plan.cost_per_row if pool.costs is None else float(pool.costs[row]),
            }
            for row, score, why in zip(picks.rows, picks.scores, whys, strict=True)
        ]  # fmt: skip

    def _test_ids(self) -> list[str]:
        return [*self._spec.test_ids, *(one.id for one in self._labels if one.arm == "test")]

    def _take_groups(self, rows: Sequence[int] | Indices) -> None:
        """No row of a group that is in the test set is trained on."""
        if self._pool.groups is not None and len(rows):
            self._free &= ~np.isin(self._pool.groups, self._pool.groups[np.asarray(rows)])


def features_of(frame: pd.DataFrame, plan: PoolSpec) -> tuple[Feature, ...]:
    """The columns that a model would read, before there are labels.

    Raises:
        SpecError, DataError: as a training job would.
    """
    sample = frame.head(PROFILED_ROWS)
    # any target will do: what columns are does not depend on it
    values = np.where(np.arange(len(sample)) % 2 == 0, 0.0, 1.5)
    data = DataSpec.model_validate(
        data_part(plan) | {"source": {"type": "inline", "rows": [{}]}, "task": "regression", "positive_class": None}
    )
    schema = infer_schema(sample.assign(**{plan.data.target: values}), data, SplitSpec())
    return tuple(Feature(column.name, column.kind) for column in schema.features)


def _mixed(chosen: list[dict[str, Any]], controls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both arms side by side, so that each grows as labels come in."""
    places = [((number + 0.5) / len(many), one) for many in (chosen, controls) for number, one in enumerate(many)]
    return [one for _, one in sorted(places, key=lambda pair: pair[0])]
