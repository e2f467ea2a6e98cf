"""Trees and nets together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.hybrid_params import PARAMS, check_params, members_of
from training.models.hybrid_stack import fit_stack
from training.spec import HybridSpec, ModelSpec


class HybridFamily(ModelFamily):
    """Several models as one; see HybridSpec for the strategies.

    No target leaks between them: what one model is told of a row by another comes from one that did not learn from it.

    Args:
        families: of the members, by name.
    """

    name: ClassVar[str] = "hybrid"

    def __init__(self, families: Mapping[str, ModelFamily]) -> None:
        self._families = dict(families)

    def check(self, spec: ModelSpec, task: str) -> None:
        """Checks the parameters and each member's own, see ModelFamily."""
        wanted = _hybrid(spec)
        check_params(PARAMS[wanted.strategy], wanted.params, wanted.strategy)
        members_of(wanted, task, self._families)

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits, see ModelFamily. A member that fails is left out, and the leaderboard says why."""
        wanted = _hybrid(spec)
        params = check_params(PARAMS[wanted.strategy], wanted.params, wanted.strategy)
        members = members_of(wanted, data.schema.task, self._families)
        return fit_stack(members, params, data, context)


def _hybrid(spec: ModelSpec) -> HybridSpec:
    if not isinstance(spec, HybridSpec):
        raise TypeError(f"the hybrid family takes a HybridSpec, not {type(spec).__name__}")
    return spec
