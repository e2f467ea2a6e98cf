"""One worker: the fit runs right where it is called, in the warm process of the job's task."""

from __future__ import annotations

from typing import ClassVar

from training.distributed.base import Engine, Spread
from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec
from training.spec.resources import EngineName


class LocalEngine(Engine):
    """No process is started and nothing is copied; one to two thousand small fits a minute run this way."""

    name: ClassVar[EngineName] = "local"
    family: ClassVar[str] = ""

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
        """Fits, see Engine."""
        # all families take a second to import, for which the processes of workers must not wait
        from training.models.families import family_of  # noqa: PLC0415

        return family_of(spec).fit(spec, data, context)
