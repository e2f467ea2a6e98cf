"""A net on the margin of boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .combination import log_of
from .nested import distributions_of, load_part, save_part
from .predictor import Predictor
from .stack_predictor import mean_scores
from .torch_predictor import TorchPredictor


class ResidualPredictor(Predictor):
    """Adds what networks have learnt to the log probabilities, or values, of trees."""

    kind = "residual"
    requirements: ClassVar[tuple[str, ...]] = ()

    def __init__(self, trees: Sequence[Predictor], network: TorchPredictor) -> None:
        """Takes the trees of each fold, whose mean is the margin, and the networks."""
        self.trees = tuple(trees)
        self.network = network

    def distributions(self) -> tuple[str, ...]:
        """What trees and networks need."""
        return distributions_of([*self.trees, self.network])

    def readings(self) -> int:
        """Those of trees and networks."""
        return sum(part.readings() for part in (*self.trees, self.network))

    def row_us(self) -> float:
        """Those of trees and networks."""
        return sum(part.row_us() for part in (*self.trees, self.network))

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        return self.network.predict_from(frame, margin_of(mean_scores(self.trees, frame)))

    def save(self, folder: Path) -> None:
        """Writes each part into a folder of its own."""
        for number, trees in enumerate(self.trees):
            save_part(trees, folder / f"trees-{number}")
        save_part(self.network, folder / "network")

    @classmethod
    def load(cls, folder: Path) -> ResidualPredictor:
        """Reads what `save` wrote.

        Raises:
            TypeError: the folder "network" holds another kind of model.
        """
        network = load_part(folder / "network")
        if not isinstance(network, TorchPredictor):
            raise TypeError(f"a network was expected, not a predictor of kind {network.kind!r}")
        count = sum(1 for _ in folder.glob("trees-*"))
        return cls([load_part(folder / f"trees-{number}") for number in range(count)], network)


def margin_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[n, classes] log probabilities, or [n] values as they are."""
    return scores if scores.ndim == 1 else log_of(scores)
