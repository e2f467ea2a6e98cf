"""From scores to probabilities that can be counted on: recalibrated on the reference, where that helps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

FloatArray = npt.NDArray[np.float64]
TINY = 1e-6
FOLDS = 5
MIN_GAIN = 1e-4
"""In mean log loss over the folds; a calibrator that gains less only adds noise."""


class Calibrator(ABC):
    """Maps the score of one class to its probability; monotone."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, scores: FloatArray, actual: FloatArray) -> Calibrator:
        """Learns from scores, [n], and whether the class came, [n] 0 or 1; returns itself."""

    @abstractmethod
    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[n] probabilities."""


class Identity(Calibrator):
    """Scores that are probabilities already."""

    name: ClassVar[str] = "none"

    def fit(self, scores: FloatArray, actual: FloatArray) -> Calibrator:
        """Learns nothing."""
        return self

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """The scores."""
        return scores


class Sigmoid(Calibrator):
    """Logistic regression on the log odds of the score (Platt 1999, on the scale of beta calibration's slope)."""

    name: ClassVar[str] = "sigmoid"

    def __init__(self) -> None:
        self._model = LogisticRegression(C=1e3)

    def fit(self, scores: FloatArray, actual: FloatArray) -> Calibrator:
        """Learns slope and intercept."""
        self._model.fit(_log_odds(scores), actual)
        return self

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """By the learnt line."""
        return np.asarray(self._model.predict_proba(_log_odds(scores))[:, 1], dtype=np.float64)


class Isotonic(Calibrator):
    """The best rising step function (Zadrozny and Elkan 2002)."""

    name: ClassVar[str] = "isotonic"

    def __init__(self) -> None:
        self._model = IsotonicRegression(y_min=TINY, y_max=1 - TINY, out_of_bounds="clip")

    def fit(self, scores: FloatArray, actual: FloatArray) -> Calibrator:
        """Learns the steps."""
        self._model.fit(scores, actual)
        return self

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """By the learnt steps."""
        return np.asarray(self._model.predict(scores), dtype=np.float64)


CALIBRATORS: tuple[type[Calibrator], ...] = (Identity, Sigmoid, Isotonic)


def best_calibrator(scores: FloatArray, actual: FloatArray) -> Calibrator:
    """The calibrator with the least log loss over FOLDS folds, fitted on all rows.

    Args:
        scores: [n] of one class.
        actual: [n] 0 or 1.
    """
    counts = np.bincount(actual.astype(np.int64), minlength=2)
    if counts.min() < 2 * FOLDS:
        return Identity()
    folds = np.random.default_rng(0).permutation(len(scores)) % FOLDS
    losses = [_cross_validated(kind, scores, actual, folds) for kind in CALIBRATORS]
    best = int(np.argmin(losses))
    if losses[0] - losses[best] < MIN_GAIN:
        best = 0
    return CALIBRATORS[best]().fit(scores, actual)


def _cross_validated(
    kind: type[Calibrator], scores: FloatArray, actual: FloatArray, folds: npt.NDArray[np.int64]
) -> float:
    losses = []
    for fold in range(FOLDS):
        inside = folds == fold
        if len(np.unique(actual[~inside])) < 2:
            return np.inf
        found = kind().fit(scores[~inside], actual[~inside]).probabilities(scores[inside]).clip(TINY, 1 - TINY)
        losses.append(-np.where(actual[inside] == 1, np.log(found), np.log1p(-found)).mean())
    return float(np.mean(losses))


def _log_odds(scores: FloatArray) -> FloatArray:
    clipped = scores.clip(TINY, 1 - TINY)
    odds: FloatArray = np.log(clipped / (1 - clipped))[:, None]
    return odds
