"""What MLflow loads: a registered model as a python function of raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.pyfunc.model import PythonModel

from .model import ScoringModel

ARTIFACT = "model"
"""Name of the MLflow artifact that holds the folder of a ScoringModel."""


class ScoringFunction(PythonModel):
    """Scores raw rows; answers one probability column per class, or the column "prediction" for regression."""

    model: ScoringModel | None = None

    def load_context(self, context: Any) -> None:
        """Loads the model from the artifacts. MLflow also makes an instance that it never loads, while it saves."""
        self.model = ScoringModel.load(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Scores rows.

        Raises:
            InputError: a column is missing, or holds a value that the model cannot take.
        """
        if self.model is None:
            raise RuntimeError("load_context was not called")
        return self.model.predict(model_input)
