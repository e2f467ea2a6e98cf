"""Performance without labels: what the metrics are to be expected to be, given scores and features alone.

Both methods know only what the model knows. They see a change of the inputs (covariate shift). They can't see that the
same inputs have come to mean something else (concept drift): only labels show that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from training.evaluation import point_metrics
from training.monitoring.calibrator import best_calibrator
from training.monitoring.stream import Rows
from training.mts_scoring.columns import Feature
from training.mts_scoring.encoder import TableEncoder

FloatArray = npt.NDArray[np.float64]
LIMIT_NOTE = (
    "Estimated performance is computed from scores and features. It shows what a change of the inputs does to the "
    "model; it can't see concept drift, that the same inputs have come to mean another outcome: outcomes show that."
)


class Estimator(ABC):
    """Fitted on the reference, with its outcomes; then estimates metrics of rows without outcomes. Immutable."""

    name: ClassVar[str]
    detail: str

    @abstractmethod
    def estimate(self, rows: Rows, metrics: Sequence[str]) -> dict[str, float]:
        """Metrics by name; one that cannot be estimated is left out."""


class ConfidenceBased(Estimator):
    """CBPE (confidence-based performance estimation; W. Kuberski and J. Białek, NannyML, 2022).

    Each row counts as each class with that class's recalibrated probability as its weight, so every metric of the
    service is its own expected value.
    """

    name: ClassVar[str] = "cbpe"

    def __init__(self, reference: Rows) -> None:
        self._task = reference.schema.task
        self._classes = max(2, len(reference.schema.classes))
        scores = reference.scores
        codes = range(1) if self._task == "binary" else range(self._classes)
        wanted = [1] if self._task == "binary" else list(codes)
        self._calibrators = [
            best_calibrator(scores[:, column], (reference.actual == code).astype(np.float64))
            for column, code in zip(codes, wanted, strict=True)
        ]
        self.detail = ", ".join(dict.fromkeys(calibrator.name for calibrator in self._calibrators))

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Of each class, [n, classes]; rows sum to one."""
        columns = [calibrator.probabilities(scores[:, n]) for n, calibrator in enumerate(self._calibrators)]
        if self._task == "binary":
            return np.column_stack([1 - columns[0], columns[0]])
        stacked = np.column_stack(columns) + 1e-12
        return np.asarray(stacked / stacked.sum(axis=1, keepdims=True), dtype=np.float64)

    def estimate(self, rows: Rows, metrics: Sequence[str]) -> dict[str, float]:
        """Expected metrics."""
        scores, chances = rows.scores, self.probabilities(rows.scores)
        target = np.repeat(np.arange(self._classes), len(rows))
        repeated = np.concatenate([scores] * self._classes)
        given = repeated[:, 0] if self._task == "binary" else repeated
        return point_metrics(
            self._task, target, given, chances.T.ravel(), list(metrics), threshold=rows.schema.threshold
        )


class DirectLoss(Estimator):
    """Direct loss estimation (NannyML, 2022): a second model learns the loss of the first from features and prediction.

    Boosted trees learn the absolute and the squared error on the reference. What they say is scaled so that, over
    halves of the reference that they were not fitted on, it is right in the mean.
    """

    name: ClassVar[str] = "dle"
    LOSSES: ClassVar[dict[str, float]] = {"mae": 1.0, "rmse": 2.0}

    def __init__(self, reference: Rows) -> None:
        self._features = [Feature(feature.name, feature.kind) for feature in reference.schema.features]
        self._encoder = TableEncoder.fit(reference.frame(), self._features, style="tree")
        matrix = self._matrix(reference)
        error = np.abs(reference.actual - reference.scores[:, 0])
        self._models = {metric: _scaled_fit(matrix, error**power) for metric, power in self.LOSSES.items()}
        self.detail = "gradient boosting"

    def estimate(self, rows: Rows, metrics: Sequence[str]) -> dict[str, float]:
        """Expected mae and rmse; r2 would need the true values."""
        matrix = self._matrix(rows)
        found = {}
        for metric in metrics:
            if metric in self._models:
                model, scale = self._models[metric]
                mean = float(np.maximum(model.predict(matrix), 0).mean() * scale)
                found[metric] = mean ** (1 / self.LOSSES[metric])
        return found

    def losses(self, rows: Rows) -> FloatArray:
        """Expected absolute error of each row, [n]."""
        model, scale = self._models["mae"]
        return np.maximum(np.asarray(model.predict(self._matrix(rows)), dtype=np.float64), 0) * scale

    def _matrix(self, rows: Rows) -> FloatArray:
        return np.column_stack([self._encoder.transform(rows.frame()), rows.scores[:, 0]])


def estimator_for(reference: Rows) -> Estimator:
    """The method for the task."""
    return DirectLoss(reference) if reference.schema.task == "regression" else ConfidenceBased(reference)


def _scaled_fit(matrix: FloatArray, loss: FloatArray) -> tuple[Any, float]:
    half = np.random.default_rng(0).permutation(len(loss)) % 2 == 0
    out_of_fold = np.empty(len(loss))
    for inside in (half, ~half):
        out_of_fold[~inside] = np.maximum(_trees().fit(matrix[inside], loss[inside]).predict(matrix[~inside]), 0)
    scale = float(loss.mean() / out_of_fold.mean()) if out_of_fold.mean() > 0 else 1.0
    return _trees().fit(matrix, loss), scale


def _trees() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=80, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=30, random_state=0
    )
