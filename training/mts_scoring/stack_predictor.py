"""Several models, each fitted once per fold, and how their scores become one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .combination import Combination, normalized
from .nested import distributions_of, load_part, save_part
from .predictor import Predictor

STACK_FILE = "stack.json"


class StackPredictor(Predictor):
    """Members, each the mean of the models of its folds, combined."""

    kind = "stack"
    requirements: ClassVar[tuple[str, ...]] = ()

    def __init__(self, members: Sequence[Sequence[Predictor]], combination: Combination) -> None:
        """Takes the models of each member, [members][folds], and a combination with a weight for each member."""
        self.members = tuple(tuple(models) for models in members)
        self.combination = combination

    def distributions(self) -> tuple[str, ...]:
        """What the members need."""
        return distributions_of([model for models in self.members for model in models])

    def readings(self) -> int:
        """Those of all models."""
        return sum(model.readings() for models in self.members for model in models)

    def row_us(self) -> float:
        """Those of all models."""
        return sum(model.row_us() for models in self.members for model in models)

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores rows, see Predictor."""
        return self.combination.apply([mean_scores(models, frame) for models in self.members])

    def save(self, folder: Path) -> None:
        """Writes each model into a folder of its own."""
        for number, models in enumerate(self.members):
            for fold, model in enumerate(models):
                save_part(model, folder / f"member-{number}" / f"fold-{fold}")
        state = {"combination": self.combination.state(), "folds": [len(models) for models in self.members]}
        (folder / STACK_FILE).write_text(json.dumps(state, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> StackPredictor:
        """Reads what `save` wrote."""
        state = json.loads((folder / STACK_FILE).read_text(encoding="utf-8"))
        members = [
            [load_part(folder / f"member-{number}" / f"fold-{fold}") for fold in range(count)]
            for number, count in enumerate(state["folds"])
        ]
        return cls(members, Combination.from_state(state["combination"]))


def mean_scores(models: Sequence[Predictor], frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Mean over models of the same member."""
    total = models[0].predict(frame)
    for model in models[1:]:
        total = total + model.predict(frame)
    mean: npt.NDArray[np.float64] = total / len(models)
    return mean if mean.ndim == 1 or len(models) == 1 else normalized(mean)
