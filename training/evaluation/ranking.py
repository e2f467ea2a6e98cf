"""Metrics that depend only on the order of the scores."""

from __future__ import annotations

import numpy as np

from training.evaluation.statistic import Buffers, FloatArray, IntArray, RowWeights, cumulative_sums, ratio


class Ranking:
    """Rows sorted once, so that each resample costs cumulative sums instead of a sort.

    Weights come in the order `order`: positives first, then negatives, each by falling score.

    Args:
        positive: [n] bool.
        scores: [n].
    """

    def __init__(self, positive: np.ndarray[tuple[int], np.dtype[np.bool_]], scores: FloatArray) -> None:
        positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
        positives = positives[np.argsort(-scores[positives], kind="stable")]
        negatives = negatives[np.argsort(-scores[negatives], kind="stable")]
        self.order: IntArray = np.concatenate([positives, negatives]).astype(np.int64)
        self.positives = len(positives)
        self._falling_positive, self._falling_negative = -scores[positives], -scores[negatives]
        self._above = np.searchsorted(self._falling_negative, self._falling_positive, side="left")
        self._not_below = np.searchsorted(self._falling_negative, self._falling_positive, side="right")
        self._positives_not_below = np.searchsorted(self._falling_positive, self._falling_positive, side="right")
        self._buffers = Buffers()
        self._tied = not np.array_equal(self._above, self._not_below)

    def split(self, weights: RowWeights) -> tuple[RowWeights, RowWeights]:
        """Cumulative weights of positives [b, positives + 1] and negatives [b, negatives + 1], from 0.

        Of the weights' type: sums of counts stay whole numbers, which are added and read in half the time. Valid until
        the next call in the same thread.
        """
        return (
            self._cumulative(weights[:, : self.positives], "positive"),
            self._cumulative(weights[:, self.positives :], "negative"),
        )

    def roc_auc(self, weights: RowWeights, negative: RowWeights) -> FloatArray:
        """Area under the ROC curve as the Mann-Whitney statistic: P(positive above negative), ties count one half.

        Args:
            weights: [b, n].
            negative: second part of `split`.
        """
        own = weights[:, : self.positives]
        if own.shape[1] == 0:
            return np.full(len(weights), np.nan)
        lost = np.einsum("bn,bn->b", own, self._at(negative, self._above, "of_negative"))
        if self._tied:
            lost = 0.5 * (lost + np.einsum("bn,bn->b", own, self._at(negative, self._not_below, "of_negative")))
        return 1.0 - ratio(lost, own.sum(axis=1) * negative[:, -1])

    def average_precision(self, weights: FloatArray, positive: RowWeights, negative: RowWeights) -> FloatArray:
        """Sum of precision times gain in recall over the distinct scores (no interpolation, as in scikit-learn).

        Args:
            weights: [b, n].
            positive: first part of `split`.
            negative: second part of `split`.
        """
        own = weights[:, : self.positives]
        if own.shape[1] == 0:
            return np.full(len(weights), np.nan)
        true = self._at(positive, self._positives_not_below, "of_positive")
        decided = self._at(negative, self._not_below, "of_negative")
        decided += true
        # A position with nothing decided yet has weight 0 itself: any denominator above 0 will do.
        least = 1 if decided.dtype == np.int64 else np.finfo(np.float64).tiny
        np.maximum(decided, least, out=decided)
        precision = self._buffers.get("precision", true.shape)
        np.divide(true, decided, out=precision)
        return ratio(np.einsum("bn,bn->b", own, precision), positive[:, -1])

    def decided(self, threshold: float) -> tuple[int, int]:
        """How many positives and how many negatives have a score of at least `threshold`."""
        positives = np.searchsorted(self._falling_positive, -threshold, side="right")
        negatives = np.searchsorted(self._falling_negative, -threshold, side="right")
        return int(positives), int(negatives)

    def _cumulative(self, weights: RowWeights, name: str) -> RowWeights:
        rows, columns = weights.shape
        sums: RowWeights = self._buffers.get(name, (rows, columns + 1), weights.dtype)
        sums[:, 0] = 0
        cumulative_sums(weights, sums[:, 1:])
        return sums

    def _at(self, sums: RowWeights, positions: IntArray, name: str) -> RowWeights:
        taken: RowWeights = self._buffers.get(name, (len(sums), len(positions)), sums.dtype)
        # The positions are in range; mode "raise" would make `take` fill a copy first.
        np.take(sums, positions, axis=1, out=taken, mode="clip")
        return taken
