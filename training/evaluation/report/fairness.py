"""Differences between the groups of a column: who is decided for, who is wronged, how large the errors are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.evaluation.metrics import DEFAULT_THRESHOLD, Target
from training.evaluation.report.model import Fairness, Group, GroupRate
from training.evaluation.slices import SMALL_ROWS, slice_labels
from training.evaluation.statistic import FloatArray
from training.result import Interval

NORMAL_95 = 1.959963984540054
Mask = npt.NDArray[np.bool_]


def group_differences(
    frame: pd.DataFrame,
    columns: Sequence[str],
    task: str,
    target: Target,
    scores: FloatArray,
    *,
    threshold: float | None = None,
) -> list[Fairness]:
    """The rates of each group and their differences to the largest group.

    Binary: `selection_rate` (decided positive; demographic parity), `true_positive_rate` (equal opportunity, Hardt et
    al. 2016), `false_positive_rate`, `precision`, `mean_score`. Multiclass: `accuracy`. Regression: `mean_error`
    (prediction minus target), `mean_absolute_error`. Rows count once each, whatever their weight.
    """
    return [_of_column(slice_labels(frame[column]), column, _rates(task, target, scores, threshold))
            for column in dict.fromkeys(columns)]  # fmt: skip


def _rates(
    task: str, target: Target, scores: FloatArray, threshold: float | None
) -> dict[str, tuple[FloatArray, Mask]]:  # fmt: skip
    """By name: a value of each row, and the rows over which it is averaged."""
    every = np.ones(len(target), bool)
    if task == "regression":
        error = scores.reshape(len(target)) - target
        return {"mean_error": (error, every), "mean_absolute_error": (np.abs(error), every)}
    if task == "multiclass":
        return {"accuracy": ((scores.argmax(axis=1) == target).astype(np.float64), every)}
    positive = scores[:, 1] if scores.ndim == 2 else scores
    decided = positive >= (DEFAULT_THRESHOLD if threshold is None else threshold)
    actual = np.asarray(target) == 1
    chosen = decided.astype(np.float64)
    return {
        "selection_rate": (chosen, every),
        "true_positive_rate": (chosen, actual),
        "false_positive_rate": (chosen, ~actual),
        "precision": (actual.astype(np.float64), decided),
        "mean_score": (positive, every),
    }


def _of_column(labels: pd.Series, column: str, rates: dict[str, tuple[FloatArray, Mask]]) -> Fairness:
    sizes = labels.value_counts()
    reference = str(sizes.index[0])
    held = labels.to_numpy()
    moments = {
        (name, value): _moments(values[(held == value) & rows])
        for name, (values, rows) in rates.items()
        for value in sizes.index
    }
    groups = [
        Group(
            value=str(value),
            rows=int(size),
            small=int(size) < SMALL_ROWS,
            rates={name: _rate(moments[name, value], moments[name, reference]) for name in rates},
        )
        for value, size in sizes.items()
    ]
    large = [group for group in groups if not group.small]
    spread = {}
    for name in rates:
        values = [rate for group in large if (rate := group.rates[name].value) is not None]
        if len(values) > 1:
            spread[name] = max(values) - min(values)
    return Fairness(column=column, reference=reference, groups=groups, largest_difference=spread)


def _moments(values: FloatArray) -> tuple[float, float] | None:
    """Mean and the variance of the mean; None without rows."""
    if not len(values):
        return None
    return float(values.mean()), float(values.var() / len(values))


def _rate(own: tuple[float, float] | None, other: tuple[float, float] | None) -> GroupRate:
    if own is None or other is None:
        return GroupRate(value=None if own is None else own[0], difference=Interval(value=None))
    gap = own[0] - other[0]
    if own == other:
        return GroupRate(value=own[0], difference=Interval(value=gap))
    spread = NORMAL_95 * math.sqrt(own[1] + other[1])
    return GroupRate(value=own[0], difference=Interval(value=gap, low=gap - spread, high=gap + spread))
