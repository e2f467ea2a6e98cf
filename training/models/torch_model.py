"""Neural networks for tables with PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.torch_params import CHANGEABLE, PARAMS, NetworkParams, check_params
from training.spec import ModelSpec, TorchSpec


class TorchFamily(ModelFamily):
    """Networks that are the best of their kind on tables with published defaults: RealMLP, TabM and FT-Transformer.

    The best epoch on the validation rows is kept; several seeds are averaged with `n_seeds`. Classes are not reweighted
    in the loss, so that rare ones keep honest probabilities. Random numbers come from generators of the fit's own: the
    same seed gives the same network to the last digit on the same number of CPUs.
    """

    name: ClassVar[str] = "torch"

    def check(self, spec: ModelSpec, task: str) -> None:
        """Checks the parameters, see ModelFamily."""
        _checked(spec, task)

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits, see ModelFamily. After the deadline the best so far is returned."""
        # PyTorch takes seconds to import: whoever only checks a spec, or fits trees, must not wait for it
        from training.models.torch_fitting import fit_networks  # noqa: PLC0415

        torch_spec, params = _checked(spec, data.schema.task)
        return fit_networks(torch_spec.architecture, params, data, context)

    def reports_steps(self, spec: ModelSpec) -> bool:
        """After each epoch, see ModelFamily."""
        return True

    def changeable(self, spec: ModelSpec) -> frozenset[str]:
        """What the shape of the network does not depend on, see ModelFamily."""
        if not isinstance(spec, TorchSpec):
            return frozenset()
        return CHANGEABLE & frozenset(PARAMS[spec.architecture].model_fields)

    def without_early_stopping(self, spec: ModelSpec, facts: Mapping[str, float]) -> ModelSpec:
        """As many epochs as were best where the learning rate is constant, see ModelFamily. A schedule has to run to
        its end, and where that is depends on the rows: there the fit chooses the number of epochs itself."""
        if (
            not isinstance(spec, TorchSpec)
            or PARAMS[spec.architecture].model_validate(spec.params).schedule != "constant"
        ):
            return spec
        fixed = {"max_epochs": max(1, round(facts["best_epoch"])), "patience": 0}
        return spec.model_copy(update={"params": {**spec.params, **fixed}})


def _checked(spec: ModelSpec, task: str) -> tuple[TorchSpec, NetworkParams]:
    if not isinstance(spec, TorchSpec):
        raise TypeError(f"the torch family takes a TorchSpec, not {type(spec).__name__}")
    return spec, check_params(spec.architecture, spec.params, task)


def _schedule(spec: TorchSpec) -> str:
    return PARAMS[spec.architecture].model_validate(spec.params).schedule
