"""Metrics by name: which a task has, which way is better, and their values with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack, cast

import numpy as np
import numpy.typing as npt

from training.errors import FitError, Problem, SpecError, nearest
from training.evaluation import binary, multiclass, regression
from training.evaluation.bootstrap import Difference, Resampling, ResamplingOptions, intervals
from training.evaluation.statistic import FloatArray, Statistic
from training.result import Interval

DEFAULT_THRESHOLD = 0.5

_METRICS: dict[str, tuple[str, ...]] = {
    "binary": binary.METRICS,
    "multiclass": multiclass.METRICS,
    "regression": regression.METRICS,
}
_LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "ece", "rmse", "mae"})

Target = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def metrics_of(task: str) -> tuple[str, ...]:
    """All metrics of the task; the primary one first."""
    return _METRICS[task]


def primary_metric(task: str) -> str:
    """The metric by which models of the task are compared unless the spec names another."""
    return _METRICS[task][0]


def greater_is_better(metric: str) -> bool:
    """Whether a greater value of the metric is a better one."""
    return metric not in _LOWER_IS_BETTER


def wanted_metrics(task: str, metrics: Sequence[str], field: str = "evaluation.metrics") -> tuple[str, ...]:
    """The wanted metrics, all of the task's when none is named.

    Raises:
        SpecError: a metric is not one of the task's.
    """
    known = metrics_of(task)
    problems = [
        Problem(field, metric, f"no metric of a {task} task{nearest(metric, known)}")
        for metric in metrics
        if metric not in known
    ]
    if problems:
        raise SpecError(f"{field}: {problems[0].value}: {problems[0].message}", problems=problems)
    return tuple(dict.fromkeys(metrics)) or known


def evaluate(
    task: str,
    target: Target,
    scores: FloatArray,
    weight: FloatArray | None = None,
    *,
    metrics: Sequence[str] = (),
    threshold: float | None = None,
    **resampling: Unpack[ResamplingOptions],
) -> dict[str, Interval]:
    """Metrics with percentile bootstrap intervals.

    Args:
        task: binary, multiclass or regression.
        target: [n] class codes, or values.
        scores: [n, k] probabilities; binary also [n], of class 1; regression [n] values.
        weight: [n], not negative.
        metrics: default all of the task.
        threshold: binary: score from which on class 1 is decided; default 0.5.
        resampling: bootstrap_samples=1000 (0 gives no intervals), confidence=0.95, seed=0, threads=1.

    Returns:
        A metric that is undefined on these rows (only one class) has value None.

    Raises:
        SpecError: a metric is not one of the task's.
        FitError: the scores are not finite numbers.
    """
    statistic = statistic_of(task, target, scores, metrics, threshold)
    return intervals(statistic, _checked_weight(weight, len(target)), Resampling(**resampling))


def point_metrics(
    task: str,
    target: Target,
    scores: FloatArray,
    weight: FloatArray | None = None,
    metrics: Sequence[str] = (),
    *,
    threshold: float | None = None,
) -> dict[str, float]:
    """Metrics without intervals; one that is undefined on these rows is left out. See `evaluate`."""
    found = evaluate(task, target, scores, weight, metrics=metrics, threshold=threshold, bootstrap_samples=0)
    return {metric: interval.value for metric, interval in found.items() if interval.value is not None}


def paired_difference(  # noqa: PLR0917  # rows, scores and weights stand in the order of `evaluate`
    task: str,
    metric: str,
    target: Target,
    scores_new: FloatArray,
    scores_old: FloatArray,
    weight: FloatArray | None = None,
    *,
    thresholds: tuple[float | None, float | None] = (None, None),
    **resampling: Unpack[ResamplingOptions],
) -> Interval:
    """Gain of the new scores over the old ones on the same rows, both measured on the same resamples.

    Positive means that the new scores are better, whatever the metric's direction. `thresholds` are of the new and of
    the old model; the other arguments are as in `evaluate`.
    """
    new = statistic_of(task, target, scores_new, (metric,), thresholds[0])
    old = statistic_of(task, target, scores_old, (metric,), thresholds[1])
    sign = np.array([1.0 if greater_is_better(metric) else -1.0])
    found = intervals(Difference(new, old, sign), _checked_weight(weight, len(target)), Resampling(**resampling))
    return next(iter(found.values()))


def statistic_of(
    task: str, target: Target, scores: FloatArray, metrics: Sequence[str], threshold: float | None
) -> Statistic:
    """The metrics of these rows as a function of their weights. Arguments as in `evaluate`."""
    wanted = wanted_metrics(task, metrics)
    scores = np.asarray(scores, dtype=np.float64)
    if len(scores) != len(target) or len(target) == 0:
        raise ValueError(f"{len(scores)} scores for {len(target)} rows; metrics need as many, and at least one")
    if not np.isfinite(scores).all():
        raise FitError(f"the model gave {int((~np.isfinite(scores)).sum())} scores that are not finite numbers",
                       hint="look for extreme feature values, or lower the learning rate")  # fmt: skip
    if task == "regression":
        return regression.RegressionStatistic(np.asarray(target, np.float64), scores.reshape(len(target)), wanted)
    codes = cast("npt.NDArray[np.int64]", target).astype(np.int64, copy=False)
    if task == "multiclass":
        return multiclass.MulticlassStatistic(codes, scores, wanted)
    positive = scores[:, 1] if scores.ndim == 2 else scores
    return binary.BinaryStatistic(codes, positive, wanted, DEFAULT_THRESHOLD if threshold is None else threshold)


def _checked_weight(weight: npt.NDArray[Any] | None, rows: int) -> FloatArray | None:
    if weight is None:
        return None
    if weight.shape != (rows,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(f"weights must be {rows} finite numbers that are not negative")
    return weight.astype(np.float64, copy=False)
