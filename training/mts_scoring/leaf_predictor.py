"""A net that reads the leaves of boosted trees beside the columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from .combination import normalized
from .nested import distributions_of, load_part, save_part
from .predictor import Predictor
from .xgboost_predictor import XGBoostPredictor

LEAF_PREFIX = "leaf of tree "
LEAVES_OF_A_FOREST = 100_000
"""Between the labels of the leaves of one forest and of the next."""


class LeafPredictor(Predictor):
    """The mean of what a net says to the leaves of each of several forests; see training/models/hybrid_leaves.py."""

    kind = "leaf_embedding"
    requirements: ClassVar[tuple[str, ...]] = ("xgboost",)

    def __init__(self, forests: Sequence[XGBoostPredictor], network: Predictor) -> None:
        """Takes the trees of each fold, and a net that was fitted on frames with their leaves."""
        self.forests = tuple(forests)
        self.network = network

    def distributions(self) -> tuple[str, ...]:
        """What trees and net need."""
        return distributions_of([*self.forests, self.network])

    def readings(self) -> int:
        """Of each forest, and of the net for each."""
        return len(self.forests) * (1 + self.network.readings())

    def row_us(self) -> float:
        """Of each forest, and of the net for each."""
        return sum(forest.row_us() + self.network.row_us() for forest in self.forests)

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        total = sum(
            self.network.predict(with_leaves(frame, leaves_of(forest, frame), number))
            for number, forest in enumerate(self.forests)
        )
        mean: npt.NDArray[np.float64] = np.asarray(total) / len(self.forests)
        return mean if mean.ndim == 1 else normalized(mean)

    def save(self, folder: Path) -> None:
        """Writes each part into a folder of its own."""
        for number, forest in enumerate(self.forests):
            save_part(forest, folder / f"trees-{number}")
        save_part(self.network, folder / "network")

    @classmethod
    def load(cls, folder: Path) -> LeafPredictor:
        """Reads what `save` wrote.

        Raises:
            TypeError: a folder of trees holds another kind of model.
        """
        forests = []
        for number in range(sum(1 for _ in folder.glob("trees-*"))):
            forest = load_part(folder / f"trees-{number}")
            if not isinstance(forest, XGBoostPredictor):
                raise TypeError(f"trees were expected, not a predictor of kind {forest.kind!r}")
            forests.append(forest)
        return cls(forests, load_part(folder / "network"))


def leaves_of(forest: XGBoostPredictor, frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """[n, trees] number of the leaf that each row falls into."""
    matrix = forest.encoder.transform(frame)
    trees = forest.booster.num_boosted_rounds() * max(1, forest.num_classes if forest.num_classes > 2 else 1)
    if not len(matrix):
        return np.empty((0, trees), dtype=np.int64)
    types = ["c" if categorical else "q" for categorical in forest.encoder.is_categorical]
    rows = xgb.DMatrix(matrix, feature_types=types, enable_categorical=True, nthread=1)
    found = np.asarray(forest.booster.predict(rows, pred_leaf=True, strict_shape=True), dtype=np.int64)
    return found.reshape(len(matrix), -1)


def with_leaves(
    frame: pd.DataFrame, leaves: npt.NDArray[np.int64], forest: int | npt.NDArray[np.int64]
) -> pd.DataFrame:
    """The frame with a column for each tree. The same tree of two forests has leaves of its own in each: their labels
    are numbers of which the last digits are the leaf.

    Args:
        frame: [n, columns].
        leaves: [n, trees].
        forest: number of the forest, of all rows or of each.
    """
    labels = np.asarray(forest)[..., None] * LEAVES_OF_A_FOREST + leaves
    columns = [f"{LEAF_PREFIX}{tree}" for tree in range(leaves.shape[1])]
    added = pd.DataFrame(np.broadcast_to(labels, leaves.shape), columns=columns, index=frame.index)
    return pd.concat([frame, added], axis=1)
