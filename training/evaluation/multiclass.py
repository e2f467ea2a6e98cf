"""Metrics of a classifier with three classes or more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import Ranking
from training.evaluation.statistic import (
    ECE_BINS,
    Buffers,
    FloatArray,
    GroupSums,
    IntArray,
    RowWeights,
    as_floats,
    calibration_bins,
    ratio,
    weighted_sums,
)

METRICS = ("log_loss", "accuracy", "macro_f1", "roc_auc_ovr", "ece")


class MulticlassStatistic:
    """The metrics of a multiclass classifier as a function of the rows' weights.

    `ece` is the expected calibration error of the most probable class: the weighted mean over bins of equal width of
    |mean confidence - accuracy| (Guo et al. 2017, "On Calibration of Modern Neural Networks"). `macro_f1` averages
    over the classes that occur as target or as decision; `roc_auc_ovr` is the plain mean over all classes of one
    class against the rest, undefined when a class does not occur.

    Args:
        target: [n] class codes.
        scores: [n, k] probabilities.
        metrics: which, in the order of the answer.
    """

    def __init__(self, target: npt.NDArray[np.int64], scores: FloatArray, metrics: tuple[str, ...]) -> None:
        rows, classes = scores.shape
        self.metrics = metrics
        self.order: IntArray = np.arange(rows, dtype=np.int64)
        decided = scores.argmax(axis=1)
        tiny = np.finfo(np.float64).eps
        self._loss = -np.log(np.clip(scores[self.order, target], tiny, 1.0 - tiny))
        self._correct = (decided == target).astype(np.float64)
        self._actual = GroupSums(target, classes)
        self._decided = GroupSums(decided, classes)
        self._true = GroupSums(np.where(decided == target, target, -1), classes)
        confidence = scores[self.order, decided]
        self._residual = confidence - self._correct
        self._calibration = GroupSums(calibration_bins(confidence), ECE_BINS)
        self._buffers = Buffers()
        wanted = range(classes) if "roc_auc_ovr" in metrics else ()
        self._rankings = [Ranking(target == code, scores[:, code]) for code in wanted]

    def __call__(self, weights: RowWeights) -> FloatArray:
        """Metrics of each resample, [b, len(metrics)]."""
        as_float = as_floats(weights, self._buffers)
        total = as_float.sum(axis=1)
        columns = [
            self._roc_auc_ovr(weights) if metric == "roc_auc_ovr" else self._metric(metric, as_float, total)
            for metric in self.metrics
        ]
        return np.stack(columns, axis=1)

    def _metric(self, metric: str, weights: FloatArray, total: FloatArray) -> FloatArray:
        if metric == "log_loss":
            return ratio(weighted_sums(weights, self._loss), total)
        if metric == "accuracy":
            return ratio(weighted_sums(weights, self._correct), total)
        if metric == "ece":
            return ratio(np.abs(self._calibration(weights * self._residual)).sum(axis=1), total)
        occurring = self._actual(weights) + self._decided(weights)
        scores = ratio(2.0 * self._true(weights), occurring)
        return ratio(np.nansum(scores, axis=1), (occurring > 0).sum(axis=1).astype(np.float64))

    def _roc_auc_ovr(self, weights: RowWeights) -> FloatArray:
        total = np.zeros(len(weights))
        for ranking in self._rankings:
            own = self._buffers.get("own", weights.shape, weights.dtype)
            np.take(weights, ranking.order, axis=1, out=own, mode="clip")
            total += ranking.roc_auc(own, ranking.split(own)[1])
        return total / len(self._rankings)
