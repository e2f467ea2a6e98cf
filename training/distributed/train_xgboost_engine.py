"""XGBoost through Ray Train: the alternative to xgboost-ray, with its elastic number of workers."""

from __future__ import annotations

from typing import ClassVar

from training.distributed.base import Engine, Spread
from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec
from training.spec.resources import EngineName


class TrainXGBoostEngine(Engine):
    """Ray Train's `XGBoostTrainer`. Ray Train starts all workers anew after a loss, from its last checkpoint."""

    name: ClassVar[EngineName] = "ray_train"
    family: ClassVar[str] = "xgboost"

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
        """Fits, see Engine."""
        # XGBoost and Ray Train take seconds to import: whoever only checks a spec must not wait for them
        from training.distributed.train_xgboost_fit import fit  # noqa: PLC0415

        return fit(spec, data, context, spread)
