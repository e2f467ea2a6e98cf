"""XGBoost through xgboost-ray: the engine of several workers."""

from __future__ import annotations

from typing import ClassVar

from training.distributed.base import Engine, Spread
from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec
from training.spec.resources import EngineName


class XGBoostRayEngine(Engine):
    """Actors of xgboost-ray in one placement group.

    They start at once and import while this process encodes the rows. After a loss all of them start anew, because what
    XGBoost's communicator leaves in a survivor cannot be told; the trees go on from the last checkpoint.
    """

    name: ClassVar[EngineName] = "xgboost_ray"
    family: ClassVar[str] = "xgboost"

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
        """Fits, see Engine."""
        # XGBoost and xgboost-ray take seconds to import: whoever only checks a spec must not wait for them
        from training.distributed.xgboost_ray_fit import fit  # noqa: PLC0415

        return fit(spec, data, context, spread)
