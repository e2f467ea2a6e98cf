"""Estimators of scikit-learn, saved with skops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .encoder import TableEncoder
from .predictor import ROW_US, Predictor

BATCH_ROWS = 65_536
"""Rows that are encoded and scored at once: bounds the memory that scoring adds to the frame."""
FOREST_TREE_US, BOOSTED_TREE_US = 0.2, 0.03
"""Of a row in a tree, where rows are many."""


class SklearnPredictor(Predictor):
    """A classifier or regressor that was fitted on the encoder's matrix and on class codes."""

    kind = "sklearn"
    requirements: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops")

    def __init__(self, encoder: TableEncoder, estimator: Any, *, num_classes: int) -> None:
        """Takes the estimator over. `num_classes` is 0 for regression."""
        self.encoder = encoder
        self.estimator = estimator
        self.num_classes = num_classes

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        if not len(frame):
            return np.empty((0, self.num_classes) if self.num_classes else 0)
        if len(frame) <= BATCH_ROWS:  # a slice of a frame has to find its columns anew
            return self._scores(frame)
        starts = range(0, len(frame), BATCH_ROWS)
        return np.concatenate([self._scores(frame.iloc[start : start + BATCH_ROWS]) for start in starts])

    def row_us(self) -> float:
        """Those of the trees; a linear model takes next to nothing."""
        forest = len(getattr(self.estimator, "estimators_", ()))
        boosted = sum(len(trees) for trees in getattr(self.estimator, "_predictors", ()))
        return ROW_US + FOREST_TREE_US * forest + BOOSTED_TREE_US * boosted

    def _scores(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        matrix = estimator_input(self.encoder, frame)
        if not self.num_classes:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        known = np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)
        scores = np.zeros((len(matrix), self.num_classes))
        scores[:, self.estimator.classes_] = known  # a class without training rows keeps probability zero
        return scores

    def save(self, folder: Path) -> None:
        """Writes the encoder as JSON and the estimator with skops."""
        self.encoder.save(folder / "encoder.json")
        from .skops_file import save_estimator  # noqa: PLC0415 - heavy, see there

        save_estimator(self.estimator, folder / "estimator.skops")
        (folder / "classes.json").write_text(json.dumps({"num_classes": self.num_classes}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SklearnPredictor:
        """Reads what `save` wrote.

        Raises:
            skops.io.exceptions.UntrustedTypesFoundException: the file holds a type that skops_file does not trust.
        """
        from .skops_file import load_estimator  # noqa: PLC0415 - heavy, see there

        estimator = load_estimator(folder / "estimator.skops")
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        return cls(TableEncoder.load(folder / "encoder.json"), estimator, num_classes=classes["num_classes"])


def estimator_input(encoder: TableEncoder, frame: pd.DataFrame) -> npt.NDArray[Any]:
    """The matrix as the estimator was fitted on it: float64 for linear models, whose solvers stall in float32."""
    matrix = encoder.transform(frame)
    return matrix.astype(np.float64) if encoder.style == "linear" else matrix
