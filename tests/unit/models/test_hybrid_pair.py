"""Trees and a net: what the net is told of a row comes from trees that did not learn from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.data.table import Column, Rows, TableSchema
from training.errors import SpecError
from training.models import FitContext, FitData, FittedModel, Structure
from training.models.families import family_of
from training.mts_scoring.leaf_predictor import leaves_of, with_leaves
from training.mts_scoring.xgboost_predictor import XGBoostPredictor
from training.spec import HybridSpec, SklearnSpec, TorchSpec, XGBoostSpec

NET = TorchSpec(architecture="mlp", params={"hidden_sizes": [16], "max_epochs": 25, "n_seeds": 1})
DEEP = XGBoostSpec(params={"n_estimators": 30, "max_depth": 6, "learning_rate": 0.3, "early_stopping_rounds": 0})
STRATEGIES = pytest.mark.parametrize("strategy", ["residual", "leaf_embedding"])


def data_of(signal: float, rows: int = 500, structure: Structure | None = None) -> FitData:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows)})
    target = (signal * frame["x"].to_numpy() + rng.normal(size=rows) > 0).astype(np.int64)
    columns = tuple(Column(name, "numeric", "feature", 0, rows) for name in frame)
    schema = TableSchema(columns, "t", "binary", ("no", "yes"), ())
    cut = rows * 4 // 5
    train, rest = (
        Rows(frame[side].reset_index(drop=True), target[side], None) for side in (slice(cut), slice(cut, None))
    )
    return FitData(schema, train, rest, structure or Structure())


def fit(strategy: str, data: FitData, **params: object) -> FittedModel:
    spec = HybridSpec(strategy=strategy, members=[DEEP, NET], params={"n_folds": 3} | params)  # type: ignore[arg-type]
    return family_of(spec).fit(spec, data, FitContext(seed=2))


@STRATEGIES
def test_both_parents_stand_beside_the_hybrid(strategy: str) -> None:
    fitted = fit(strategy, data_of(2.0))
    assert fitted.held_out is not None
    assert [member.name for member in fitted.held_out.members] == ["xgboost", "mlp"]
    assert all(member.scores is not None and len(member.scores) == 100 for member in fitted.held_out.members)
    right = (fitted.held_out.scores[:, 1] > 0.5) == fitted.held_out.target
    assert right.mean() > 0.75


@STRATEGIES
def test_trees_that_learn_by_heart_tell_the_net_nothing_of_noise(strategy: str) -> None:
    """Were leaves or margins of a row from trees that know it, the net would believe them, and be sure and wrong."""
    fitted = fit(strategy, data_of(0.0))
    assert fitted.held_out is not None
    told = fitted.held_out.scores[np.arange(100), fitted.held_out.target.astype(int)]
    trees = fitted.held_out.members[0].scores
    assert trees is not None
    alone = trees[np.arange(100), fitted.held_out.target.astype(int)]
    assert -np.log(told).mean() < -np.log(alone).mean()


@STRATEGIES
def test_over_time_the_net_learns_from_the_rows_that_have_earlier_trees(strategy: str) -> None:
    data = data_of(2.0, structure=Structure(times=np.arange(500)))
    fitted = fit(strategy, data)
    assert np.isfinite(fitted.predictor.predict(data.train.frame)).all()
    assert fitted.facts["num_folds"] == 3


@STRATEGIES
def test_a_deadline_that_has_passed_still_gives_a_model(strategy: str) -> None:
    data = data_of(2.0)
    spec = HybridSpec(strategy=strategy, members=[DEEP, NET], params={"n_folds": 2})  # type: ignore[arg-type]
    fitted = family_of(spec).fit(spec, data, FitContext(deadline=0.0))
    assert np.isfinite(fitted.predictor.predict(data.train.frame)).all()


@STRATEGIES
def test_members_of_other_families_are_refused(strategy: str) -> None:
    spec = HybridSpec(strategy=strategy, members=[SklearnSpec(), NET])  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"model\.members: .* takes boosted trees \(xgboost\), then a net \(torch\)"):
        family_of(spec).check(spec, "binary")


def test_the_leaves_of_two_forests_are_different_categories() -> None:
    data = data_of(2.0)
    forest = family_of(DEEP).fit(DEEP, data, FitContext()).predictor
    assert isinstance(forest, XGBoostPredictor)
    leaves = leaves_of(forest, data.train.frame)
    assert leaves.shape == (400, 30)
    first, second = (with_leaves(data.train.frame, leaves, number)["leaf of tree 0"] for number in (0, 1))
    assert not set(first) & set(second)
