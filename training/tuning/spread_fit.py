"""A trial whose fit is spread over several workers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from training.distributed import Engine, Spread
from training.models import FitContext, FitData, FittedModel
from training.releasing import release_below
from training.spec import ModelSpec

FOLDER = "fits"


@dataclass(frozen=True)
class SpreadFit:
    """Fits as the job itself would, in a placement group of the trial's own.

    A group is there as a whole or not at all, so that trials never hold a part of their workers while they wait for
    others that hold the rest. It takes the main thread of its process, which is to hold no CPU, and tells nothing of
    how it does on the way.

    Args:
        engine: spreads the fit.
        spread: how, with the label of the job.
        number: of the trial.
    """

    engine: Engine
    spread: Spread
    number: int = 0

    def of(self, number: int) -> SpreadFit:
        """For a trial."""
        return replace(self, number=number)

    def __call__(self, model: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits, see Engine."""
        folder = self.spread.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"trial-{self.number}-", ignore_cleanup_errors=True) as own:
            label = f"{self.spread.label}:trial-{self.number}"
            return self.engine.fit(model, data, context, replace(self.spread, label=label, folder=Path(own)))

    def release(self) -> None:
        """Gives back the room of trials whose processes were ended."""
        release_below(self.spread.label)
