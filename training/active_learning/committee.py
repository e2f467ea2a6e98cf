"""The members of a model that is an ensemble, each with its own opinion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from training.active_learning.rows import Floats
from training.errors import SpecError
from training.mts_scoring.model import ScoringModel
from training.mts_scoring.network_base import Inputs
from training.mts_scoring.predictor import Predictor
from training.mts_scoring.sklearn_predictor import SklearnPredictor, estimator_input
from training.mts_scoring.torch_predictor import BATCH_ROWS, TorchPredictor
from training.spec import ModelSpec

MAX_MEMBERS = 32
"""Of a forest: more trees say little more about where they disagree."""
FORESTS = ("random_forest", "extra_trees")


def check_has_members(spec: ModelSpec, strategy: str) -> None:
    """Whether models of this spec have members.

    Raises:
        SpecError: they have none.
    """
    is_forest = spec.family == "sklearn" and spec.estimator in FORESTS
    is_network = spec.family == "torch" and (spec.architecture == "tabm" or int(spec.params.get("n_seeds", 1)) > 1)
    if not (is_forest or is_network or getattr(spec, "strategy", None) == "stack"):
        raise SpecError.at(
            "strategy", strategy, f"needs a model with members, and {spec.family} is one model",
            hint="Use random_forest, extra_trees or tabm, or another strategy such as margin.",
        )  # fmt: skip


def members_of(model: ScoringModel, frame: pd.DataFrame) -> Floats:
    """The opinion of each member: [members, n, classes] probabilities, or [members, n] values for regression.

    The trees of a forest, the heads of TabM, networks of several seeds, the members of a stack.

    Raises:
        SpecError: the model has none.
    """
    found = _members(model.predictor, frame)
    if found is None or len(found) < 2:
        kind = model.predictor.kind
        raise SpecError.at("strategy", kind, f"a registered {kind} model has no members that could disagree")
    return found


def _members(predictor: Predictor, frame: pd.DataFrame) -> Floats | None:
    if isinstance(predictor, TorchPredictor):
        starts = range(0, max(1, len(frame)), BATCH_ROWS)
        parts = [_heads(predictor, frame.iloc[start : start + BATCH_ROWS]) for start in starts]
        return np.concatenate(parts, axis=1)
    if isinstance(predictor, SklearnPredictor) and hasattr(predictor.estimator, "estimators_"):
        return _trees(predictor, frame)
    inner: Any = getattr(predictor, "members", None)
    if isinstance(inner, list | tuple) and all(isinstance(one, Predictor) for one in inner):
        return np.stack([one.predict(frame) for one in inner])
    return None


def _heads(predictor: TorchPredictor, frame: pd.DataFrame) -> Floats:
    with torch.inference_mode():
        inputs = Inputs.of(predictor.encoder.transform(frame))
        outputs = torch.cat([network(inputs) for network in predictor.networks], dim=1).double()
        if predictor.target is None:
            heads: Floats = outputs.softmax(dim=-1).transpose(0, 1).numpy()
            return heads
        values: Floats = outputs[:, :, 0].transpose(0, 1).numpy()
    return values * predictor.target.deviation + predictor.target.mean


def _trees(predictor: SklearnPredictor, frame: pd.DataFrame) -> Floats:
    matrix = estimator_input(predictor.encoder, frame)
    trees = predictor.estimator.estimators_[:MAX_MEMBERS]
    if not predictor.num_classes:
        return np.stack([np.asarray(tree.predict(matrix), dtype=np.float64) for tree in trees])
    found = np.zeros((len(trees), len(frame), predictor.num_classes))
    for number, tree in enumerate(trees):
        # trees count the classes that the forest saw
        found[number][:, predictor.estimator.classes_] = tree.predict_proba(matrix)
    return found
