"""All model families, by name."""

from __future__ import annotations

from collections.abc import Iterable

from training.models.auto_model import AutoFamily
from training.models.base import ModelFamily
from training.models.hybrid_model import HybridFamily
from training.models.sklearn_model import SklearnFamily
from training.models.torch_model import TorchFamily
from training.models.xgboost_model import XGBoostFamily
from training.spec import ModelSpec

__all__ = ["FAMILIES", "family_of"]


def _by_name(families: Iterable[ModelFamily]) -> dict[str, ModelFamily]:
    table: dict[str, ModelFamily] = {}
    for family in families:
        if family.name in table:
            raise ValueError(f"model family {family.name!r} is there twice")
        table[family.name] = family
    return table


_SINGLE = _by_name([SklearnFamily(), TorchFamily(), XGBoostFamily()])
FAMILIES: dict[str, ModelFamily] = _by_name([*_SINGLE.values(), HybridFamily(_SINGLE), AutoFamily(_SINGLE)])


def family_of(spec: ModelSpec) -> ModelFamily:
    """The family that fits the spec."""
    return FAMILIES[spec.family]
