"""Boosted trees of XGBoost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from .encoder import TableEncoder
from .predictor import ROW_US, Predictor

BATCH_ROWS = 65_536
"""Rows that are encoded and scored at once: bounds the memory that scoring adds to the frame."""
TREES_AT_ONCE = 64
"""Trees that rows are led through before the next ones: so many stay in a core's cache, where 1,500 do not. Measured
with those at depth 6: 0.55 of the time, and the same sums, for the trees are added in the same order."""
FEW_ROWS = 512
"""Up to so many rows are scored by one thread: waking a team of threads costs more than it saves."""
TREE_US = 0.01
"""Of a row in a tree, where rows are many."""


def as_scores(predicted: npt.NDArray[np.float32], num_classes: int) -> npt.NDArray[np.float64]:
    """Scores, as a Predictor gives them, from what a booster predicts; `num_classes` is 0 for regression."""
    raw: npt.NDArray[np.float64] = np.asarray(predicted, dtype=np.float64)
    if num_classes == 2:
        return np.column_stack([1.0 - raw, raw])
    if num_classes:
        raw /= raw.sum(axis=1, keepdims=True)  # float32 rows sum to one only within 1e-6
    return raw


class XGBoostPredictor(Predictor):
    """A booster whose objective gives probabilities (binary:logistic, multi:softprob) or values."""

    kind = "xgboost"
    requirements: ClassVar[tuple[str, ...]] = ("xgboost",)

    def __init__(self, encoder: TableEncoder, booster: xgb.Booster, *, num_classes: int) -> None:
        """Takes the booster over. `num_classes` is 0 for regression."""
        self.encoder = encoder
        self.num_classes = num_classes
        self.booster = booster
        # a booster's thread count is no argument of predict, and setting it while another thread predicts is a race
        self._single_threaded = booster.copy()
        self._single_threaded.set_param({"nthread": 1})

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        if len(frame) <= FEW_ROWS:
            return self._scores(frame, self._single_threaded.inplace_predict)
        if len(frame) <= BATCH_ROWS:  # a slice of a frame has to find its columns anew
            return self._scores(frame, self._predicted)
        parts = [
            self._scores(frame.iloc[start : start + BATCH_ROWS], self._predicted)
            for start in range(0, len(frame), BATCH_ROWS)
        ]
        return np.concatenate(parts)

    def row_us(self) -> float:
        """Those of the trees."""
        trees = int(self.booster.num_boosted_rounds()) * (self.num_classes if self.num_classes > 2 else 1)
        return ROW_US + TREE_US * trees

    def _scores(
        self, frame: pd.DataFrame, predicted: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float64]:
        matrix = self.encoder.transform(frame)
        if not len(matrix):
            return np.empty((0, self.num_classes) if self.num_classes else 0)
        return as_scores(predicted(matrix), self.num_classes)

    def _predicted(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What the booster predicts, TREES_AT_ONCE at a time."""
        rounds = self.booster.num_boosted_rounds()
        step = max(1, TREES_AT_ONCE // (self.num_classes if self.num_classes > 2 else 1))
        *firsts, last = range(0, max(1, rounds), step)
        margin = None
        for first in firsts:
            margin = self.booster.inplace_predict(
                matrix, iteration_range=(first, first + step), predict_type="margin", base_margin=margin
            )
        found: npt.NDArray[np.float32] = self.booster.inplace_predict(
            matrix, iteration_range=(last, rounds), base_margin=margin
        )
        return found

    def save(self, folder: Path) -> None:
        """Writes the encoder as JSON and the booster as UBJSON."""
        self.encoder.save(folder / "encoder.json")
        self.booster.save_model(folder / "booster.ubj")
        (folder / "classes.json").write_text(json.dumps({"num_classes": self.num_classes}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> XGBoostPredictor:
        """Reads what `save` wrote."""
        booster = xgb.Booster(model_file=folder / "booster.ubj")
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        return cls(TableEncoder.load(folder / "encoder.json"), booster, num_classes=classes["num_classes"])
