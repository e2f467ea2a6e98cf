"""What a fitted model is at scoring time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

ROW_US = 5.0
"""To read a row and to encode it."""


class Predictor(ABC):
    """Scores raw rows; owns its preprocessing.

    Safe to use from several threads at once. `predict` never changes the frame that it is given. Saved and loaded
    without pickle; a loaded predictor gives the same numbers as the one that was saved.
    """

    kind: ClassVar[str]
    """Name in the saved manifest; see `registry.py`."""

    requirements: ClassVar[tuple[str, ...]]
    """Distributions that every predictor of this kind needs for loading, by name, such as ("xgboost",)."""

    def distributions(self) -> tuple[str, ...]:
        """Distributions that loading this predictor needs, with those of its parts."""
        return self.requirements

    def readings(self) -> int:
        """How often it reads the columns of a frame: once for each of its parts."""
        return 1

    def row_us(self) -> float:
        """About how many microseconds of one CPU a row takes beside many others, by a rule that does not depend on the
        machine: what scores very many rows takes fewer of a slow model."""
        return ROW_US

    @abstractmethod
    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows.

        Args:
            frame: [n, features], raw; columns in any order; more columns than needed are ignored.

        Returns:
            Classification: [n, classes] probabilities, each row sums to one. Regression: [n] values.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes native files into an empty, existing folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Predictor:
        """Reads what `save` wrote."""
