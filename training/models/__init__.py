"""Model families: what turns rows into a predictor."""

from __future__ import annotations

from collections.abc import Iterable

from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.sklearn_model import SklearnFamily
from training.models.torch_model import TorchFamily
from training.models.xgboost_model import XGBoostFamily
from training.spec import ModelSpec

__all__ = ["FAMILIES", "FitContext", "FitData", "FittedModel", "ModelFamily", "family_of"]


def _by_name(families: Iterable[ModelFamily]) -> dict[str, ModelFamily]:
    table: dict[str, ModelFamily] = {}
    for family in families:
        if family.name in table:
            raise ValueError(f"model family {family.name!r} is there twice")
        table[family.name] = family
    return table


FAMILIES: dict[str, ModelFamily] = _by_name([SklearnFamily(), TorchFamily(), XGBoostFamily()])


def family_of(spec: ModelSpec) -> ModelFamily:
    """The family that fits the spec."""
    return FAMILIES[spec.family]
