"""Metrics of a regression."""

from __future__ import annotations

import numpy as np

from training.evaluation.statistic import Buffers, FloatArray, IntArray, RowWeights, as_floats, ratio, weighted_sums

METRICS = ("rmse", "mae", "r2")


class RegressionStatistic:
    """The metrics of a regression as a function of the rows' weights. `r2` of a constant target is undefined.

    Args:
        target: [n].
        scores: [n] predicted values.
        metrics: which, in the order of the answer.
    """

    def __init__(self, target: FloatArray, scores: FloatArray, metrics: tuple[str, ...]) -> None:
        self.metrics = metrics
        self.order: IntArray = np.arange(len(target), dtype=np.int64)
        error = scores - target
        self._absolute = np.abs(error)
        self._squared = error**2
        self._buffers = Buffers()
        # Centred, so that the difference of large sums below loses no digits.
        self._centred = target - target.mean()
        self._centred_squared = self._centred**2

    def __call__(self, weights: RowWeights) -> FloatArray:
        """Metrics of each resample, [b, len(metrics)]."""
        weights = as_floats(weights, self._buffers)
        total = weights.sum(axis=1)
        squared = weighted_sums(weights, self._squared)
        columns = []
        for metric in self.metrics:
            if metric == "rmse":
                columns.append(np.sqrt(ratio(squared, total)))
            elif metric == "mae":
                columns.append(ratio(weighted_sums(weights, self._absolute), total))
            else:
                columns.append(self._r2(weights, squared, total))
        return np.stack(columns, axis=1)

    def _r2(self, weights: FloatArray, squared: FloatArray, total: FloatArray) -> FloatArray:
        if not self._centred_squared.any():
            return np.full(len(weights), np.nan)
        spread = weighted_sums(weights, self._centred_squared)
        around_mean = spread - ratio(weighted_sums(weights, self._centred) ** 2, total)
        # A resample of equal targets leaves rounding noise here, not 0.
        around_mean = np.where(around_mean > 1e-12 * spread, around_mean, 0.0)
        return 1.0 - ratio(squared, around_mean)
