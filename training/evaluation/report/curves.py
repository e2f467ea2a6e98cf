"""The curves of a report, from targets and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.evaluation.metrics import Target
from training.evaluation.report.model import Bar, CalibrationBin, ClassCurves, CostCurve, Curve, Curves, Residuals
from training.evaluation.statistic import FloatArray, IntArray
from training.evaluation.threshold import check_cost_matrix

MAX_POINTS = 200
BINS = 30
CALIBRATION_BINS = 10
MAX_CLASSES = 6
"""Of which curves are drawn: more lines cannot be told apart."""
MAX_RESIDUALS = 500
NORMAL_95 = 1.959963984540054

CostMatrix = Mapping[str, Mapping[str, float]]


def curves_of(
    task: str,
    target: Target,
    scores: FloatArray,
    weight: FloatArray | None,
    *,
    classes: Sequence[str],
    threshold: float | None,
    cost_matrix: CostMatrix | None,
) -> Curves:
    """What the plots of the task show.

    Args:
        task, target, scores, weight: as in `evaluate`.
        classes: in the order of the scores.
        threshold: binary: from which score on class 1 is decided.
        cost_matrix: binary: cost_matrix[actual][predicted].
    """
    weights = np.ones(len(target)) if weight is None else weight
    if task == "regression":
        return _regression(np.asarray(target, np.float64), scores.reshape(len(target)))
    codes = np.asarray(target, np.int64)
    if task == "multiclass":
        decided = scores.argmax(axis=1)
        return Curves(
            by_class=_by_class(codes, scores, weights, classes),
            calibration=calibration_curve((decided == codes).astype(np.float64), scores.max(axis=1), weights),
            confusion=_confusion(codes, decided, weights, len(classes)),
        )
    positive = scores[:, 1] if scores.ndim == 2 else scores
    decided = (positive >= (0.5 if threshold is None else threshold)).astype(np.int64)
    roc, precision_recall = ranking_curves(codes, positive, weights)
    return Curves(
        roc=roc,
        precision_recall=precision_recall,
        base_rate=float(np.average(codes, weights=weights)),
        calibration=calibration_curve(codes.astype(np.float64), positive, weights),
        scores=_histogram(codes, positive, weights, classes),
        confusion=_confusion(codes, decided, weights, 2),
        cost=_cost_curve(codes, positive, weights, classes, cost_matrix),
    )


def ranking_curves(target: IntArray, scores: FloatArray, weights: FloatArray) -> tuple[Curve | None, Curve | None]:
    """ROC (false against true positive rate) and precision against recall; None where only one class occurs."""
    order = np.argsort(-scores, kind="stable")
    cuts = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(weights[order] * target[order])[cuts]
    false = np.cumsum(weights[order] * (1 - target[order]))[cuts]
    if true[-1] <= 0 or false[-1] <= 0:
        return None, None
    kept = _thinned(len(cuts))
    recall, false_rate = true[kept] / true[-1], false[kept] / false[-1]
    precision = true[kept] / np.maximum(true[kept] + false[kept], np.finfo(np.float64).tiny)
    roc = Curve(x=[0.0, *_rounded(false_rate)], y=[0.0, *_rounded(recall)])
    return roc, Curve(x=_rounded(recall), y=_rounded(precision))


def _by_class(codes: IntArray, scores: FloatArray, weights: FloatArray, classes: Sequence[str]) -> list[ClassCurves]:
    rows = np.bincount(codes, minlength=len(classes))
    found = []
    for code in np.argsort(-rows, kind="stable")[:MAX_CLASSES]:
        roc, precision_recall = ranking_curves((codes == code).astype(np.int64), scores[:, code], weights)
        if roc is not None and precision_recall is not None:
            name = classes[code]
            found.append(ClassCurves(name=name, rows=int(rows[code]), roc=roc, precision_recall=precision_recall))
    return found


def calibration_curve(outcome: FloatArray, scores: FloatArray, weights: FloatArray) -> list[CalibrationBin]:
    """Bins of about equally many rows: mean score, share of outcomes with its Wilson interval (Wilson 1927).

    Args:
        outcome: [n] 1.0 where what the score is the probability of came true.
        scores: [n] probabilities.
        weights: [n].
    """
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, CALIBRATION_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, max(0, len(edges) - 2))
    count = np.bincount(bins)
    total = np.bincount(bins, weights)
    found = []
    for position in np.flatnonzero(total > 0):
        inside = bins == position
        observed = float(np.average(outcome[inside], weights=weights[inside]))
        # the effective number of rows, so that unequal weights widen the interval (Kish 1965)
        effective = float(total[position] ** 2 / (weights[inside] ** 2).sum())
        low, high = wilson(observed, effective)
        predicted = float(np.average(scores[inside], weights=weights[inside]))
        found.append(CalibrationBin(predicted=predicted, observed=observed, low=low, high=high,
                                    rows=int(count[position])))  # fmt: skip
    return found


def wilson(share: float, rows: float, z: float = NORMAL_95) -> tuple[float, float]:
    """Wilson's interval of a share of so many rows."""
    if rows <= 0:
        return 0.0, 1.0
    centre = share + z * z / (2 * rows)
    spread = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _confusion(actual: IntArray, decided: IntArray, weights: FloatArray, classes: int) -> list[list[float]]:
    cells = np.bincount(actual * classes + decided, weights, minlength=classes * classes)
    return [[float(value) for value in row] for row in cells.reshape(classes, classes)]


def _histogram(target: IntArray, scores: FloatArray, weights: FloatArray, classes: Sequence[str]) -> list[Bar]:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    counts = [np.histogram(scores[target == code], edges, weights=weights[target == code])[0] for code in (0, 1)]
    return [
        Bar(low=float(edges[bin_]), high=float(edges[bin_ + 1]),
            counts={name: float(counts[code][bin_]) for code, name in enumerate(classes)})
        for bin_ in range(BINS)
    ]  # fmt: skip


def _cost_curve(
    target: IntArray, scores: FloatArray, weights: FloatArray, classes: Sequence[str], cost_matrix: CostMatrix | None
) -> CostCurve:
    costs = np.array([[0.0, 1.0], [1.0, 0.0]]) if cost_matrix is None else check_cost_matrix(cost_matrix, classes)
    thresholds = np.linspace(0.0, 1.0, 101)
    edges = np.append(thresholds, np.inf)
    by_class = [np.histogram(scores[target == code], edges, weights=weights[target == code])[0] for code in (0, 1)]
    at_least = [np.cumsum(counts[::-1])[::-1] for counts in by_class]
    cost = sum(
        at_least[code] * costs[code, 1] + (by_class[code].sum() - at_least[code]) * costs[code, 0] for code in (0, 1)
    )
    return CostCurve(threshold=_rounded(thresholds), cost=_rounded(cost / weights.sum()), assumed=cost_matrix is None)


def _regression(target: FloatArray, predicted: FloatArray) -> Curves:
    residual = target - predicted
    shown = np.sort(np.random.default_rng(0).permutation(len(target))[:MAX_RESIDUALS])
    counts, edges = np.histogram(residual, BINS)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    return Curves(
        scores=[
            Bar(low=float(edges[bin_]), high=float(edges[bin_ + 1]), counts={"residual": float(count)})
            for bin_, count in enumerate(counts)
        ],
        residuals=Residuals(
            predicted=[float(value) for value in predicted[shown]],
            residual=[float(value) for value in residual[shown]],
            quantiles={f"{level:.0%}": float(np.quantile(residual, level)) for level in levels},
        ),
    )


def _thinned(points: int) -> IntArray:
    return np.unique(np.linspace(0, points - 1, min(points, MAX_POINTS)).astype(np.int64))


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.round(values, 6)]
