"""The same score for every row: what is left when there is no time for anything else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .predictor import Predictor


class ConstantPredictor(Predictor):
    """The frequencies of the classes, or the mean of the target."""

    kind = "constant"
    requirements: ClassVar[tuple[str, ...]] = ()

    def __init__(self, values: Sequence[float], *, num_classes: int) -> None:
        """Takes one probability for each class, or one value where `num_classes` is 0."""
        self.values = tuple(values)
        self.num_classes = num_classes

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        if not self.num_classes:
            return np.full(len(frame), self.values[0])
        return np.tile(np.array(self.values), (len(frame), 1))

    def save(self, folder: Path) -> None:
        """Writes the values as JSON."""
        state = {"values": list(self.values), "num_classes": self.num_classes}
        (folder / "constant.json").write_text(json.dumps(state, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ConstantPredictor:
        """Reads what `save` wrote."""
        state = json.loads((folder / "constant.json").read_text(encoding="utf-8"))
        return cls(state["values"], num_classes=state["num_classes"])
