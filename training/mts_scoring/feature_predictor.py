"""A model that reads columns which are made from the raw ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import check_columns
from .feature_steps import STEPS, FeatureStep, with_steps
from .nested import load_part, save_part
from .predictor import ROW_US, Predictor


class FeaturePredictor(Predictor):
    """Makes the columns, then asks another predictor."""

    kind = "features"
    requirements: ClassVar[tuple[str, ...]] = ()

    def __init__(self, steps: Sequence[FeatureStep], inner: Predictor) -> None:
        """Takes steps and a predictor that was fitted on frames with their columns."""
        self.steps = tuple(steps)
        self.inner = inner

    def distributions(self) -> tuple[str, ...]:
        """What the inner predictor needs."""
        return self.inner.distributions()

    def readings(self) -> int:
        """Those of the steps and of the inner predictor."""
        return len(self.steps) + self.inner.readings()

    def row_us(self) -> float:
        """Those of the steps and of the inner predictor."""
        return ROW_US * len(self.steps) + self.inner.row_us()

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        check_columns(frame, (name for step in self.steps for name in step.sources))
        return self.inner.predict(with_steps(frame, self.steps))

    def save(self, folder: Path) -> None:
        """Writes the steps as JSON and the inner predictor."""
        text = json.dumps([step.state() for step in self.steps], ensure_ascii=False, allow_nan=False)
        (folder / "steps.json").write_text(text, encoding="utf-8")
        save_part(self.inner, folder / "inner")

    @classmethod
    def load(cls, folder: Path) -> FeaturePredictor:
        """Reads what `save` wrote."""
        states = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
        return cls([STEPS[state["type"]].from_state(state) for state in states], load_part(folder / "inner"))
