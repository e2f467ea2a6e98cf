"""What the labels have brought: models of either arm, measured on the frozen random test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training import evaluation
from training.active_learning.rows import Floats, PoolRows
from training.active_learning.spec import KnownLabel, PoolSpec
from training.active_learning.training_spec import data_part
from training.data import DataAccess, class_label, infer_schema, load, make_rows, split_rows
from training.errors import TrainingError
from training.events import Observer
from training.models import FitContext, FitData
from training.models.families import family_of
from training.spec import PART_COLUMN, DataSpec, SplitSpec

BOOTSTRAP_SAMPLES = 500
MIN_ARM = 10
"""Labels below which no model is fitted."""


@dataclass(frozen=True)
class Measured:
    """A model of some labels: scores of the test rows, and their truth."""

    scores: Floats
    target: Any
    task: str


class Arms:
    """Fits the pool's kind of model on a part of the labels, as the pipeline would.

    Args:
        plan: of the pool.
        rows: all of its rows.
        labels: those that count.
        access: to read rows that came with labels, which both arms get.
        observer: asked whether to go on.
    """

    def __init__(
        self, plan: PoolSpec, rows: PoolRows, labels: Sequence[KnownLabel], access: DataAccess, observer: Observer
    ) -> None:
        self._plan = plan
        self._rows = rows
        self._places = rows.places
        self._labels = labels
        self._observer = observer
        self._given = load(plan.data.labelled, access).frame if plan.data.labelled is not None else None

    def evidence(self) -> dict[str, Any]:
        """The learning curves' next points: each arm with all its labels, and the gain at equal numbers of labels."""
        metric = evaluation.primary_metric(self._plan.data.task)
        found: dict[str, Any] = {"metric": metric, "greater_is_better": evaluation.greater_is_better(metric)}
        active, random = (self._of(arm) for arm in ("active", "random"))
        measured = {"active": self._measured(active), "random": self._measured(random)}
        for arm, labels in (("active", active), ("random", random)):
            found[arm] = {"labels": len(labels), **self._point(measured[arm], metric)}
        equal = min(len(active), len(random))
        found["at_equal_labels"] = self._gain(active[:equal], random[:equal], metric)
        return found

    def _of(self, arm: str) -> list[KnownLabel]:
        return [one for one in self._labels if one.arm == arm]

    def _point(self, measured: Measured | str, metric: str) -> dict[str, Any]:
        if isinstance(measured, str):
            return {"value": None, "low": None, "high": None, "reason": measured}
        interval = evaluation.evaluate(
            measured.task, measured.target, measured.scores, metrics=[metric],
            bootstrap_samples=BOOTSTRAP_SAMPLES, seed=self._plan.seed,
        )[metric]  # fmt: skip
        return interval.model_dump()

    def _gain(self, active: list[KnownLabel], random: list[KnownLabel], metric: str) -> dict[str, Any] | None:
        ours, theirs = self._measured(active), self._measured(random)
        if isinstance(ours, str) or isinstance(theirs, str):
            return None
        gain = evaluation.paired_difference(
            ours.task, metric, ours.target, ours.scores, theirs.scores,
            bootstrap_samples=BOOTSTRAP_SAMPLES, seed=self._plan.seed,
        )  # fmt: skip
        return {"labels": len(active), **gain.model_dump()}

    def _measured(self, train: Sequence[KnownLabel]) -> Measured | str:
        """The scores, or why there are none."""
        if len(train) < MIN_ARM:
            return f"{len(train)} labels; at least {MIN_ARM} are needed"
        try:
            return self._fitted([*train, *self._of("test")])
        except TrainingError as error:
            return error.message

    def _fitted(self, labels: Sequence[KnownLabel]) -> Measured:
        plan = self._plan
        frame = self._frame(labels)
        data = DataSpec.model_validate(data_part(plan) | {"source": {"type": "inline", "rows": [{}]}})
        split_spec = SplitSpec(strategy="predefined", column=PART_COLUMN, seed=plan.seed)
        schema = infer_schema(frame, data, split_spec)
        split = split_rows(frame, schema, data, split_spec)
        train, validation, test = (
            make_rows(frame, schema, data, side) for side in (split.train, split.validation, split.test)
        )
        context = FitContext(seed=plan.seed, cpus=plan.resources.cpus_per_worker, observer=self._observer)
        fitted = family_of(plan.model).fit(plan.model, FitData(schema, train, validation), context)
        return Measured(fitted.predictor.predict(test.frame), test.target, schema.task)

    def _frame(self, labels: Sequence[KnownLabel]) -> pd.DataFrame:
        target = self._plan.data.target
        frame = self._rows.frame.take(np.array([self._places[one.id] for one in labels])).reset_index(drop=True)
        frame[target] = [one.label for one in labels]
        frame[PART_COLUMN] = [one.part for one in labels]
        if self._given is None:
            return frame
        given = self._given.copy(deep=False)
        given[target] = (
            given[target].astype(float) if self._plan.data.task == "regression" else given[target].map(class_label)
        )
        given[PART_COLUMN] = "train"
        return pd.concat([frame, given[[name for name in frame.columns if name in given.columns]]], ignore_index=True)
