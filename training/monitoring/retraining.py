"""From the labelled stream to a training job: which rows it uses, chosen by back-testing, and its spec."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import Column, Rows, TableSchema
from training.errors import TrainingError
from training.evaluation import greater_is_better, point_metrics, primary_metric
from training.models import FitContext, FitData
from training.models.families import family_of
from training.monitoring.schema import MonitoredSchema
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import StreamStore
from training.monitoring.stream import Observed
from training.spec import TrainSpec, parse_spec

IntArray = npt.NDArray[np.int64]
PART = "mts_part"
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
"""Of the labelled rows: the newest are the test rows on which the gate compares, those before them steer the fit."""
ROLLING_SHARE = 0.3
"""Of the labelled rows before a point in time: what a rolling window keeps."""
HALF_LIFE_SHARE = 0.25
"""Of the labelled rows before a point: a row that is so much older is drawn half as often."""
FOLDS = 3
BACKTEST_FIT_S = 30.0
"""Of one fit of the back-test; a family that searches ends with the best so far."""
KEPT = ("name", "model", "tune", "resources", "evaluation", "time_budget_s")
"""Of the spec of the version that is watched."""
MAX_BACKTEST_ROWS = 20_000


@dataclass(frozen=True)
class Choice:
    """A window with the mean of the metric over the folds; None where it was not tested."""

    name: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Retraining:
    """What a retraining would be: the spec of its job, or why there is none."""

    train: dict[str, Any] | None
    reason: str
    window: str = ""
    scores: Mapping[str, float] | None = None
    rows: int = 0


def expanding(rows: int) -> IntArray:
    """All rows so far."""
    return np.arange(rows)


def rolling(rows: int) -> IntArray:
    """The newest rows so far."""
    return np.arange(rows - max(1, int(rows * ROLLING_SHARE)), rows)


def recency(rows: int) -> IntArray:
    """As many rows as there are, drawn with a chance that halves with age; a row may be drawn twice.

    Drawn and not weighted, so that the version asks for no column of weights when it is evaluated.
    """
    age = np.arange(rows)[::-1]
    chance = 0.5 ** (age / max(1.0, rows * HALF_LIFE_SHARE))
    return np.sort(np.random.default_rng(0).choice(rows, rows, p=chance / chance.sum()))


WINDOWS: Mapping[str, Callable[[int], IntArray]] = {"expanding": expanding, "rolling": rolling, "recency": recency}
"""By name: from the number of labelled rows, oldest first, to those that a training uses."""


def plan_retraining(
    spec: MonitorSpec, observed: Observed, base: dict[str, Any], store: StreamStore, tags: Mapping[str, str]
) -> Retraining:
    """Writes the rows of a retraining and answers its spec.

    The newest labelled rows are held out: on them the gate compares the new version with the champion.

    Args:
        spec: the monitor.
        observed: the stream of the watched version.
        base: spec of the job that made that version; its model, metrics and gate are kept.
        store: where the rows are written.
        tags: of the job.

    Raises:
        UnavailableError: the storage does not answer.
    """
    known = np.flatnonzero(np.isfinite(observed.actual))
    if len(known) < spec.policy.min_labelled_rows:
        return Retraining(None, f"{len(known):,} labelled rows; {spec.policy.min_labelled_rows:,} are needed")
    rows = observed.rows(known)
    frame, target = rows.frame(), rows.actual
    test, validation = int(len(known) * (1 - TEST_SHARE)), int(len(known) * (1 - TEST_SHARE - VALIDATION_SHARE))
    train_spec = parse_spec(TrainSpec, base)
    choice = _choose(spec.policy.training_window, frame.iloc[:test], target[:test], observed.schema, train_spec)
    chosen = np.concatenate([WINDOWS[choice.name](validation), np.arange(validation, len(known))])
    table = frame.iloc[chosen].reset_index(drop=True)
    table[observed.schema.target] = _labels(target[chosen], observed.schema)
    table[PART] = np.where(chosen >= test, "test", np.where(chosen >= validation, "validation", "train"))
    path = f"retraining/{observed.time_us[known[-1]]}_{len(known)}_{choice.name}.parquet"
    sink = io.BytesIO()
    table.to_parquet(sink, index=False)
    store.write(path, sink.getvalue())
    return Retraining(
        _spec(base, observed.schema, store.uri(path), tags),
        "the labelled stream",
        choice.name,
        choice.scores,
        len(known),
    )


def _spec(base: dict[str, Any], schema: MonitoredSchema, uri: str, tags: Mapping[str, str]) -> dict[str, Any]:
    data = {
        "source": {"type": "file", "uri": uri, "format": "parquet"},
        "target": schema.target,
        "task": schema.task,
        "include": [feature.name for feature in schema.features],
    }
    if schema.task == "binary":
        data["positive_class"] = schema.classes[1]
    kept: dict[str, Any] = {name: base[name] for name in KEPT if name in base}
    # nobody looks on: a version that would have been promoted in any case has to be better here
    gate = dict(base.get("promotion") or {})
    kept["promotion"] = gate | {"policy": "if_better"} if gate.get("policy") == "always" else gate
    split = {"strategy": "predefined", "column": PART, "seed": base.get("split", {}).get("seed", 0)}
    return {**kept, "data": data, "split": split, "tags": dict(tags)}


def _choose(
    wanted: str, frame: pd.DataFrame, target: npt.NDArray[np.float64], schema: MonitoredSchema, spec: TrainSpec
) -> Choice:
    """The wanted window, or for `auto` the one with the best metric: fitted on the rows before each of FOLDS points in
    time and measured on those up to the next."""
    if wanted != "auto":
        return Choice(wanted, {})
    if len(frame) > MAX_BACKTEST_ROWS:
        frame, target = frame.iloc[-MAX_BACKTEST_ROWS:], target[-MAX_BACKTEST_ROWS:]
    bounds = np.linspace(0, len(frame), FOLDS + 2).astype(int)[1:]
    metric = primary_metric(schema.task)
    scores: dict[str, float] = {}
    for name, window in WINDOWS.items():
        found = []
        for start, stop in pairwise(bounds):
            train, after = window(int(start)), np.arange(start, stop)
            value = _measured(frame, target, (train, after), schema, spec).get(metric)
            if value is not None:
                found.append(value)
        if found:
            scores[name] = float(np.mean(found))
    if not scores:
        return Choice("expanding", {})
    sign = 1.0 if greater_is_better(metric) else -1.0
    return Choice(max(scores, key=lambda name: sign * scores[name]), scores)


def _measured(
    frame: pd.DataFrame,
    target: npt.NDArray[np.float64],
    sides: tuple[IntArray, IntArray],
    schema: MonitoredSchema,
    spec: TrainSpec,
) -> dict[str, float]:
    train, after = (_rows(frame, target, side, schema.task) for side in sides)
    columns = tuple(Column(feature.name, feature.kind, "feature", 0, 2) for feature in schema.features)  # type: ignore[arg-type]  # the kinds of a model are column kinds
    table = TableSchema(columns, schema.target, schema.task, schema.classes, ())  # type: ignore[arg-type]  # as above
    try:
        context = FitContext(seed=spec.split.seed, deadline=time.monotonic() + BACKTEST_FIT_S)
        fitted = family_of(spec.model).fit(spec.model, FitData(table, train, None), context)
    except TrainingError:
        return {}  # such as a window with one class only: it is no candidate
    return point_metrics(schema.task, after.target, fitted.predictor.predict(after.frame))


def _rows(frame: pd.DataFrame, target: npt.NDArray[np.float64], side: IntArray, task: str) -> Rows:
    values = target[side] if task == "regression" else target[side].astype(np.int64)
    return Rows(frame.iloc[side].reset_index(drop=True), values, None)


def _labels(target: npt.NDArray[np.float64], schema: MonitoredSchema) -> Any:
    if schema.task == "regression":
        return target
    return np.asarray(schema.classes, dtype=object)[target.astype(np.int64)]
