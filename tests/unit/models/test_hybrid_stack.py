"""The stack: nothing leaks, a member may fail, and every row is scored by models that did not learn from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from training.data.table import Column, Rows, TableSchema
from training.errors import DataError, FitError, SpecError
from training.models import FitContext, FitData, FittedModel, HeldOut, Structure
from training.models.families import FAMILIES, family_of
from training.models.hybrid_model import HybridFamily
from training.models.sklearn_model import SklearnFamily
from training.spec import HybridSpec, ModelSpec, SklearnSpec, TorchSpec, XGBoostSpec

LINEAR = SklearnSpec(estimator="logistic_regression")
FOREST = SklearnSpec(estimator="extra_trees", params={"n_estimators": 20, "min_samples_leaf": 1})
TREES = XGBoostSpec(params={"n_estimators": 20, "learning_rate": 0.3})
FREE = Structure()


def data_of(target: npt.NDArray[np.int64], signal: npt.NDArray[np.float64], structure: Structure = FREE) -> FitData:
    count = int(target.max()) + 1
    frame = pd.DataFrame({"x": signal, "z": np.random.default_rng(5).normal(size=len(target))})
    columns = tuple(Column(name, "numeric", "feature", 0, 2) for name in frame)
    task = "binary" if count == 2 else "multiclass"
    schema = TableSchema(columns, "t", task, tuple(f"class {code}" for code in range(count)), ())
    cut = len(target) * 4 // 5
    parts = [Rows(frame[side].reset_index(drop=True), target[side], None) for side in (slice(cut), slice(cut, None))]
    return FitData(schema, parts[0], parts[1], structure)


def noisy(rows: int = 400, seed: int = 0) -> FitData:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    return data_of((signal + rng.normal(size=rows) > 0).astype(np.int64), signal)


def fit(data: FitData, *members: ModelSpec, **params: object) -> FittedModel:
    spec = HybridSpec(members=list(members), params=params)
    return family_of(spec).fit(spec, data, FitContext(seed=3))


def held(fitted: FittedModel) -> HeldOut:
    assert fitted.held_out is not None
    return fitted.held_out


def test_a_member_that_learns_by_heart_gains_nothing_from_noise() -> None:
    rng = np.random.default_rng(0)
    data = data_of(rng.integers(0, 2, 600), rng.normal(size=600))
    deep = XGBoostSpec(params={"n_estimators": 50, "max_depth": 8, "early_stopping_rounds": 0})
    fitted = fit(data, FOREST, deep, n_folds=5)
    found = held(fitted)
    learnt = (fitted.predictor.predict(data.train.frame)[:, 1] > 0.5) == data.train.target
    assert learnt.mean() > 0.75  # the members know their rows
    positive = found.scores[:, 1]
    assert abs(np.corrcoef(positive, found.target)[0, 1]) < 0.12


def test_every_row_is_scored_and_parents_stand_beside_the_hybrid() -> None:
    data = noisy()
    found = held(fit(data, LINEAR, TREES, n_folds=4))
    assert sorted(found.target) == sorted(np.concatenate([data.train.target, data.validation.target]))  # type: ignore[union-attr]
    assert [member.name for member in found.members] == ["logistic_regression", "xgboost"]
    assert all(member.scores is not None and member.scores.shape == (400, 2) for member in found.members)
    assert sum(member.share or 0.0 for member in found.members) == pytest.approx(1.0)


def test_two_members_of_a_kind_have_two_names() -> None:
    found = held(fit(noisy(), TREES, TREES.model_copy(update={"params": {"n_estimators": 5}}), n_folds=2))
    assert [member.name for member in found.members] == ["xgboost", "xgboost #2"]


class Failing(SklearnFamily):
    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        raise MemoryError("cannot allocate 900 GB")


def test_a_member_that_fails_is_missing_and_says_why() -> None:
    family = HybridFamily({**FAMILIES, "sklearn": Failing()})
    fitted = family.fit(HybridSpec(members=[TREES, FOREST], params={"n_folds": 3}), noisy(), FitContext())
    trees, forest = held(fitted).members
    assert trees.error == ""
    assert trees.share == 1.0
    assert forest.scores is None
    assert "900 GB" in forest.error
    assert any("extra_trees is missing" in note for note in fitted.notes)
    assert np.isfinite(fitted.predictor.predict(noisy().train.frame)).all()


def test_if_every_member_fails_so_does_the_fit() -> None:
    family = HybridFamily({**FAMILIES, "sklearn": Failing()})
    with pytest.raises(FitError, match="no member could be fitted: extra_trees: cannot allocate 900 GB"):
        family.fit(HybridSpec(members=[FOREST, LINEAR]), noisy(), FitContext())


def test_a_loss_that_is_no_number_ends_a_net_but_not_the_stack() -> None:
    net = TorchSpec(architecture="mlp", params={"hidden_sizes": [8], "max_epochs": 2, "learning_rate": 1.0})
    data = noisy()
    data.train.frame["x"] *= 1e30
    weight = np.full(len(data.train), 1e38)
    heavy = FitData(data.schema, Rows(data.train.frame, data.train.target, weight), None)
    fitted = fit(heavy, TREES, net, n_folds=2)
    assert [member.name for member in held(fitted).members] == ["xgboost", "mlp"]
    assert np.isfinite(held(fitted).scores).all()


def test_groups_are_obeyed_inside() -> None:
    """The target is a property of the group, which the model can read off a column: out of group it knows nothing."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 4)
    target = rng.integers(0, 2, 100)[groups]
    data = data_of(target, groups + rng.normal(scale=0.01, size=400), Structure(groups=groups))
    together = held(fit(data, FOREST, TREES, n_folds=5))
    apart = held(fit(FitData(data.schema, data.train, data.validation), FOREST, TREES, n_folds=5))
    known = np.mean((apart.scores[:, 1] > 0.5) == apart.target)
    assert np.mean((together.scores[:, 1] > 0.5) == together.target) < known - 0.1


def test_over_time_the_latest_model_serves() -> None:
    data = noisy()
    timed = FitData(data.schema, data.train, data.validation, Structure(times=np.arange(400)))
    fitted = fit(timed, LINEAR, TREES, n_folds=4)
    assert len(held(fitted).target) == 320  # the first fifth is only learnt from
    assert {len(models) for models in fitted.predictor.members} == {1}  # type: ignore[attr-defined]


def test_twenty_classes_with_few_rows() -> None:
    rng = np.random.default_rng(0)
    target = np.concatenate([np.arange(20), np.arange(20), rng.integers(0, 20, 60)])
    fitted = fit(data_of(target, target + rng.normal(size=100)), FOREST, TREES)
    scores = fitted.predictor.predict(pd.DataFrame({"x": [3.0], "z": [0.0]}))
    assert scores.shape == (1, 20)
    assert scores.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("combiner", ["greedy", "linear"])
def test_one_positive_row_in_a_thousand(combiner: str) -> None:
    rng = np.random.default_rng(0)
    target = np.zeros(5000, np.int64)
    target[rng.permutation(5000)[:5]] = 1
    fitted = fit(data_of(target, target + rng.normal(scale=0.3, size=5000)), LINEAR, TREES, combiner=combiner)
    scores = fitted.predictor.predict(pd.DataFrame({"x": [0.0, 1.0], "z": [0.0, 0.0]}))[:, 1]
    assert 0 < scores[0] < 0.01
    assert scores[1] > scores[0]


def test_a_deadline_that_has_passed_still_gives_a_model() -> None:
    spec = HybridSpec(members=[TREES, FOREST], params={"n_folds": 2})
    fitted = family_of(spec).fit(spec, noisy(), FitContext(deadline=0.0))
    assert np.isfinite(fitted.predictor.predict(noisy().train.frame)).all()


def test_a_fault_in_a_member_is_named_by_its_place() -> None:
    spec = HybridSpec(members=[LINEAR, XGBoostSpec(params={"max_dept": 3})])
    with pytest.raises(SpecError, match=r"^model\.members\.1\.params\.max_dept: .*max_depth") as caught:
        family_of(spec).check(spec, "binary")
    assert caught.value.problems[0].field == "model.members.1.params.max_dept"


def test_one_member_makes_no_stack() -> None:
    spec = HybridSpec(members=[LINEAR])
    with pytest.raises(SpecError, match=r"model\.members: a stack needs two members"):
        family_of(spec).check(spec, "binary")


def test_too_few_groups_for_folds_is_an_error_of_the_data() -> None:
    data = noisy()
    one = FitData(data.schema, data.train, data.validation, Structure(groups=np.zeros(400, np.int64)))
    with pytest.raises(DataError, match="do not fill two folds"):
        fit(one, LINEAR, TREES)
