"""Metrics of a binary classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import Ranking
from training.evaluation.statistic import (
    Buffers,
    FloatArray,
    GroupSums,
    IntArray,
    RowWeights,
    as_floats,
    calibration_bins,
    ratio,
    sums_between,
    weighted_sums,
)


class BinaryStatistic:
    """The metrics of a binary classifier as a function of the rows' weights.

    `ece` is the expected calibration error of the positive class's probability: the weighted mean over bins of equal
    width of |mean score - share of positives| (Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning"). The others are scikit-learn's.

    Args:
        target: [n] 0 or 1.
        scores: [n] probability of class 1.
        metrics: which, in the order of the answer.
        threshold: score from which on class 1 is decided; accuracy and f1 depend on it.
    """

    def __init__(
        self, target: npt.NDArray[np.int64], scores: FloatArray, metrics: tuple[str, ...], threshold: float
    ) -> None:
        self.metrics = metrics
        self._ranking = Ranking(target == 1, scores)
        self.order: IntArray = self._ranking.order
        ordered, positive = scores[self.order], (target[self.order] == 1)
        tiny = np.finfo(np.float64).eps
        self._loss = -np.log(np.clip(np.where(positive, ordered, 1.0 - ordered), tiny, 1.0 - tiny))
        self._residual = ordered - positive
        self._squared = self._residual**2
        # Rows of a bin stand side by side within each class, so no gather is needed.
        self._calibration = _ContiguousBins(calibration_bins(ordered), self._ranking.positives)
        self._buffers = Buffers()
        self._cut = self._ranking.decided(threshold)

    def __call__(self, weights: RowWeights) -> FloatArray:
        """Metrics of each resample, [b, len(metrics)]."""
        positive, negative = self._ranking.split(weights)
        sums = _Sums(weights, as_floats(weights, self._buffers), positive, negative)
        columns = [_METRICS[metric](self, sums) for metric in self.metrics]
        return np.stack(columns, axis=1)

    def _roc_auc(self, sums: _Sums) -> FloatArray:
        return self._ranking.roc_auc(sums.drawn, sums.negative)

    def _average_precision(self, sums: _Sums) -> FloatArray:
        return self._ranking.average_precision(sums.weights, sums.positive, sums.negative)

    def _log_loss(self, sums: _Sums) -> FloatArray:
        return ratio(weighted_sums(sums.weights, self._loss), sums.total)

    def _brier_score(self, sums: _Sums) -> FloatArray:
        return ratio(weighted_sums(sums.weights, self._squared), sums.total)

    def _ece(self, sums: _Sums) -> FloatArray:
        residuals = self._buffers.get("residuals", sums.weights.shape)
        np.multiply(sums.weights, self._residual, out=residuals)
        return ratio(np.abs(self._calibration(residuals)).sum(axis=1), sums.total)

    def _accuracy(self, sums: _Sums) -> FloatArray:
        true, false = sums.positive[:, self._cut[0]], sums.negative[:, self._cut[1]]
        return ratio(true + sums.negative[:, -1] - false, sums.total)

    def _f1(self, sums: _Sums) -> FloatArray:
        true, false = sums.positive[:, self._cut[0]], sums.negative[:, self._cut[1]]
        return ratio(2.0 * true, sums.positive[:, -1] + true + false)


@dataclass(frozen=True)
class _Sums:
    drawn: RowWeights
    weights: FloatArray
    """[b, n] the same, as floats."""
    positive: RowWeights
    """[b, positives + 1] cumulative weights by falling score; likewise the negatives."""
    negative: RowWeights

    @property
    def total(self) -> RowWeights:
        return self.positive[:, -1] + self.negative[:, -1]


_METRICS: dict[str, Callable[[BinaryStatistic, _Sums], FloatArray]] = {
    "roc_auc": BinaryStatistic._roc_auc,
    "average_precision": BinaryStatistic._average_precision,
    "log_loss": BinaryStatistic._log_loss,
    "brier_score": BinaryStatistic._brier_score,
    "ece": BinaryStatistic._ece,
    "accuracy": BinaryStatistic._accuracy,
    "f1": BinaryStatistic._f1,
}
METRICS = tuple(_METRICS)


class _ContiguousBins:
    """Sums by bin over columns of which both parts, before and from `border` on, are sorted by falling bin."""

    def __init__(self, bins: IntArray, border: int) -> None:
        change = np.flatnonzero(np.diff(bins) != 0) + 1
        starts = np.concatenate([[0], change, [border] if 0 < border < len(bins) else []])
        self._starts = np.unique(starts.astype(np.int64))
        self._merge = GroupSums(bins[self._starts], int(bins.max()) + 1)

    def __call__(self, values: FloatArray) -> FloatArray:
        return self._merge(sums_between(values, self._starts))
