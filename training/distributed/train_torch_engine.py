"""PyTorch through Ray Train: the engine of several workers."""

from __future__ import annotations

from typing import ClassVar

from training.distributed.base import Engine, Spread
from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec
from training.spec.resources import EngineName


class TrainTorchEngine(Engine):
    """Ray Train's `TorchTrainer` with DistributedDataParallel, over gloo on CPUs and NCCL on GPUs.

    Each worker keeps its own rows on its device. The validation metric is that of all workers' rows, so that they all
    stop at the same epoch.
    """

    name: ClassVar[EngineName] = "ray_train"
    family: ClassVar[str] = "torch"

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
        """Fits, see Engine."""
        # PyTorch and Ray Train take seconds to import: whoever only checks a spec must not wait for them
        from training.distributed.train_torch_fit import fit  # noqa: PLC0415

        return fit(spec, data, context, spread)
