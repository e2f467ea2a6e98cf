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

    def split(self, weights: RowWeights) -> tuple[FloatArray, FloatArray]:
        """Cumulative weights of positives [b, positives + 1] and negatives [b, negatives + 1], from 0.

        Valid until the next call in the same thread.
        """
        return (
            self._cumulative(weights[:, : self.positives], "positive"),
            self._cumulative(weights[:, self.positives :], "negative"),
        )

    def roc_auc(self, weights: FloatArray, negative: FloatArray) -> FloatArray:
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

    def average_precision(self, weights: FloatArray, positive: FloatArray, negative: FloatArray) -> FloatArray:
        """Sum of precision times gain in recall over the distinct scores (no interpolation, as in scikit-learn)."""
        own = weights[:, : self.positives]
        if own.shape[1] == 0:
            return np.full(len(weights), np.nan)
        true = self._at(positive, self._positives_not_below, "of_positive")
        decided = self._at(negative, self._not_below, "of_negative")
        decided += true
        # A position with nothing decided yet has weight 0 itself: any denominator above 0 will do.
        np.maximum(decided, np.finfo(np.float64).tiny, out=decided)
        np.divide(true, decided, out=true)
        return ratio(np.einsum("bn,bn->b", own, true), positive[:, -1])

    def decided(self, threshold: float) -> tuple[int, int]:
        """How many positives and how many negatives have a score of at least `threshold`."""
        positives = np.searchsorted(self._falling_positive, -threshold, side="right")
        negatives = np.searchsorted(self._falling_negative, -threshold, side="right")
        return int(positives), int(negatives)

    def _cumulative(self, weights: RowWeights, name: str) -> FloatArray:
        rows, columns = weights.shape
        sums: FloatArray = self._buffers.get(name, (rows, columns + 1))
        sums[:, 0] = 0.0
        if weights.dtype == np.int64:
            # Each sum waits for the one before it, and whole numbers are added in a quarter of the time.
            whole = self._buffers.get(f"whole {name}", weights.shape, np.int64)
            cumulative_sums(weights, whole)
            np.copyto(sums[:, 1:], whole)
        else:
            cumulative_sums(weights, sums[:, 1:])
        return sums

    def _at(self, sums: FloatArray, positions: IntArray, name: str) -> FloatArray:
        taken: FloatArray = self._buffers.get(name, (len(sums), len(positions)))
        # The positions are in range; mode "raise" would make `take` fill a copy first.
        np.take(sums, positions, axis=1, out=taken, mode="clip")
        return taken
