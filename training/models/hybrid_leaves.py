"""The strategy leaf_embedding: a net reads the leaves of boosted trees as further categorical columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.table import Column, Rows
from training.models.base import FitContext, FitData, FittedModel
from training.models.hybrid_pair import PairFit
from training.models.hybrid_params import LeafParams, NamedMember
from training.models.members import FoldedModel
from training.models.pool import Fold
from training.mts_scoring.leaf_predictor import LEAF_PREFIX, LeafPredictor, leaves_of, with_leaves
from training.mts_scoring.xgboost_predictor import XGBoostPredictor
from training.spec import TorchSpec, XGBoostSpec

EMBEDDED: dict[str, Any] = {"max_one_hot": 12, "category_embedding": 8}
"""Leaves are learned embeddings: one-hot they would be thousands of inputs."""


def fit_leaf_embedding(
    members: Sequence[NamedMember], params: LeafParams, data: FitData, context: FitContext
) -> FittedModel:
    """Fits small boosted trees for each fold, then a net on the columns and the leaves.

    Leaves of boosted trees as inputs are He et al. 2014 (doi:10.1145/2648584.2648589, section 3.1). The leaves of a
    training row come from the trees of the fold that holds it out; those of two folds are different categories, since
    they have nothing to do with each other. The net therefore learns an embedding for the leaves of each fold, from the
    rows that it holds out, and shares all else. At scoring it is asked once with the leaves of each fold, and what it
    says is averaged.

    Raises:
        DataError: too few rows for folds.
        FitError: trees or net could not be fitted.
        JobCancelledError: the observer asked for it.
    """
    pair = PairFit.begin(members, data, context)
    parents = pair.parents()
    classes = len(data.schema.classes)
    folded, pool, folds = pair.trees_over_folds(_small(pair.trees, params, classes), params.n_folds)
    # those that serve come first: at scoring they are numbered from 0
    order = sorted(range(len(folds)), key=lambda place: not folds[place].serves)
    forests = [_forest(folded, place) for place in order]
    serving = forests[: sum(fold.serves for fold in folds)]
    trees = min(forest.booster.num_boosted_rounds() for forest in forests) * (classes if classes > 2 else 1)
    train = _train_rows(pool.rows, [folds[place] for place in order], forests, trees)
    validation = None
    if data.validation is not None and len(data.validation):
        validation = _in_turn(data.validation, serving, trees)
    columns = [Column(f"{LEAF_PREFIX}{tree}", "categorical", "feature", 0, 2) for tree in range(trees)]
    schema = replace(data.schema, columns=(*data.schema.columns, *columns))
    net = _embedding(pair.net)
    fitted = net.family.fit(net.spec, FitData(schema, train, validation), pair.net_context())
    predictor = LeafPredictor(serving, fitted.predictor)
    context.observer.progress(1.0, 0.0)
    described = {"strategy": "leaf_embedding", "trees": dict(folded.params()), "net": dict(fitted.params)}
    facts = {"num_folds": float(len(folds)), "num_trees": float(trees)} | dict(fitted.facts)
    return FittedModel(predictor, described, facts, pair.held_out(predictor, parents), fitted.notes)


def _small(member: NamedMember, params: LeafParams, classes: int) -> NamedMember:
    """The member with few, shallow trees, unless its own parameters say otherwise."""
    rounds = max(1, params.n_trees // (classes if classes > 2 else 1))
    small = {
        "n_estimators": rounds, "max_depth": params.max_depth, "learning_rate": params.learning_rate,
        "early_stopping_rounds": 0,
    }  # fmt: skip
    return replace(member, spec=XGBoostSpec(params={**member.spec.params, **small}))


def _embedding(member: NamedMember) -> NamedMember:
    spec = member.spec
    if not isinstance(spec, TorchSpec) or spec.architecture == "ft_transformer":
        return member
    return replace(member, spec=spec.model_copy(update={"params": {**EMBEDDED, **spec.params}}))


def _forest(folded: FoldedModel, place: int) -> XGBoostPredictor:
    fitted = folded.outcomes[place].fitted
    if fitted is None or not isinstance(fitted.predictor, XGBoostPredictor):
        raise TypeError("leaves are of boosted trees")
    return fitted.predictor


def _train_rows(rows: Rows, folds: Sequence[Fold], forests: Sequence[XGBoostPredictor], trees: int) -> Rows:
    """The rows that some fold holds out, in their order, with the first leaves of its trees."""
    held = np.concatenate([fold.held for fold in folds])
    numbers = np.concatenate([np.full(len(fold.held), place) for place, fold in enumerate(folds)])
    leaves = np.concatenate([
        leaves_of(forest, rows.frame.take(fold.held))[:, :trees] for fold, forest in zip(folds, forests, strict=True)
    ])  # fmt: skip
    order = np.argsort(held, kind="stable")
    return _with(rows, held[order], leaves[order], numbers[order])


def _in_turn(rows: Rows, forests: Sequence[XGBoostPredictor], trees: int) -> Rows:
    """The rows with the leaves of one forest after the other: none of them learnt from these rows."""
    turn = np.arange(len(rows)) % len(forests)
    every = np.stack([leaves_of(forest, rows.frame)[:, :trees] for forest in forests])
    return _with(rows, np.arange(len(rows)), every[turn, np.arange(len(rows))], turn)


def _with(
    rows: Rows, positions: npt.NDArray[np.int64], leaves: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]
) -> Rows:
    frame = rows.frame.take(positions).reset_index(drop=True)
    weight = None if rows.weight is None else rows.weight[positions]
    return Rows(with_leaves(frame, leaves, numbers), rows.target[positions], weight)
