"""Probabilities of another model, corrected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .combination import log_of, softmax
from .nested import load_part, save_part
from .predictor import Predictor

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A correction of probabilities.

    * `temperature`: softmax(log p / temperature), Guo et al. 2017 (arXiv:1706.04599, section 4.2).
    * `isotonic`, binary only: a rising function of the probability of class 1, linear between its knots (Zadrozny and
      Elkan 2002, doi:10.1145/775047.775151).
    """

    method: str
    temperature: float = 1.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def apply(self, scores: Scores) -> Scores:
        """Corrected probabilities, [n, classes]."""
        if self.method == "temperature":
            return softmax(log_of(scores) / self.temperature)
        positive = np.interp(scores[:, 1], self.knots, self.values)
        return np.column_stack([1.0 - positive, positive])

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The correction whose `vars` that were."""
        knots: Sequence[float] = state["knots"]
        values: Sequence[float] = state["values"]
        return cls(state["method"], state["temperature"], tuple(knots), tuple(values))


class CalibratedPredictor(Predictor):
    """Another predictor with corrected probabilities."""

    kind = "calibrated"
    requirements: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inner: Predictor, calibration: Calibration) -> None:
        """Takes a classifier."""
        self.inner = inner
        self.calibration = calibration

    def distributions(self) -> tuple[str, ...]:
        """What the inner predictor needs."""
        return self.inner.distributions()

    def readings(self) -> int:
        """Those of the inner predictor."""
        return self.inner.readings()

    def row_us(self) -> float:
        """Those of the inner predictor."""
        return self.inner.row_us()

    def predict(self, frame: pd.DataFrame) -> Scores:
        """Scores rows, see Predictor."""
        return self.calibration.apply(self.inner.predict(frame))

    def save(self, folder: Path) -> None:
        """Writes the inner predictor and the correction."""
        save_part(self.inner, folder / "inner")
        text = json.dumps(vars(self.calibration), allow_nan=False)
        (folder / "calibration.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CalibratedPredictor:
        """Reads what `save` wrote."""
        state = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
        return cls(load_part(folder / "inner"), Calibration.from_state(state))
