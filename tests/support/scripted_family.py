"""Model families that go wrong in the process that fits them; importable there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from training.models import FitContext, FitData, FittedModel
from training.models.xgboost_model import XGBoostFamily
from training.spec import ModelSpec


class Dying(XGBoostFamily):
    """Its process is killed, as the operating system does when memory runs out."""

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Never returns."""
        os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(spec, data, context)


class Endless(XGBoostFamily):
    """Leaves the id of its process in a file and does not end."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Never returns."""
        partial = self._file.with_suffix(".partial")
        partial.write_text(str(os.getpid()))
        partial.rename(self._file)
        while True:
            time.sleep(1)
