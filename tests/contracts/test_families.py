"""What every model family promises, over every family, estimator and task."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest
from sklearn import datasets

from training.data.table import Column, Rows, TableSchema
from training.errors import DataError, JobCancelledError, SpecError
from training.events import SilentObserver
from training.models import FAMILIES, FitContext, FitData, FittedModel, family_of
from training.mts_scoring.model import Feature, InputError, ScoringModel
from training.spec import AutoSpec, HybridSpec, ModelSpec, SklearnSpec, TorchArchitecture, TorchSpec, XGBoostSpec
from training.spec.model import SklearnEstimator

QUICK = {
    "random_forest": {"n_estimators": 25},
    "extra_trees": {"n_estimators": 25},
    "hist_gradient_boosting": {"max_iter": 60},
}
QUICK_NETWORKS = {
    "mlp": {"hidden_sizes": [32], "max_epochs": 30, "learning_rate": 0.04, "n_seeds": 2},
    "tabm": {"k": 4, "d_block": 32, "max_epochs": 30, "learning_rate": 0.01},
    "ft_transformer": {"n_blocks": 1, "d_block": 16, "attention_n_heads": 2, "max_epochs": 30, "learning_rate": 0.005},
}  # fmt: skip
ONLY = {"logistic_regression": ("binary", "multiclass"), "ridge": ("regression",), "elastic_net": ("regression",)}
TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("bad", "good"), "multiclass": ("a", "b", "c"), "regression": ()}


def _specs() -> Iterator[tuple[str, ModelSpec, tuple[str, ...]]]:
    yield "xgboost", XGBoostSpec(params={"n_estimators": 80, "learning_rate": 0.1}), TASKS
    for estimator in typing.get_args(SklearnEstimator):
        params = QUICK.get(estimator, {})
        yield estimator, SklearnSpec(estimator=estimator, params=params), ONLY.get(estimator, TASKS)
    for architecture in typing.get_args(TorchArchitecture):
        yield architecture, TorchSpec(architecture=architecture, params=QUICK_NETWORKS[architecture]), TASKS
    trees = [XGBoostSpec(params={"n_estimators": 60, "learning_rate": 0.1}), SklearnSpec(params={"max_iter": 30})]
    yield "stack", HybridSpec(members=trees, params={"n_folds": 3}), TASKS
    pair = [trees[0], TorchSpec(params=QUICK_NETWORKS["tabm"] | {"max_epochs": 15})]
    yield "residual", HybridSpec(strategy="residual", members=pair, params={"n_folds": 2}), TASKS
    few_leaves = {"n_folds": 2, "n_trees": 6, "max_depth": 2}
    yield "leaf_embedding", HybridSpec(strategy="leaf_embedding", members=pair, params=few_leaves), TASKS
    left_out = ["tabm", "mlp", "extra_trees", "hist_gradient_boosting", "xgboost_shallow"]
    quick = {"n_folds": 2, "max_repeats": 0, "exclude": left_out}
    yield "auto", AutoSpec(params=quick, time_budget_s=300), TASKS


MANY_FITS = ("torch", "hybrid", "auto")
"""Families whose fits take long: the quick tests see of these the first task, and that in one test."""


def _case(name: str, spec: ModelSpec, task: str, *, is_first: bool) -> typing.Any:
    marks = [] if is_first or spec.family not in MANY_FITS else [pytest.mark.slow]
    return pytest.param(spec, task, id=f"{name}-{task}", marks=marks)


CASES = [_case(name, spec, task, is_first=task == tasks[0]) for name, spec, tasks in _specs() for task in tasks]
LATER = [_case(name, spec, task, is_first=False) for name, spec, tasks in _specs() for task in tasks]
SPECS = [_case(name, spec, tasks[0], is_first=False) for name, spec, tasks in _specs()]
every_case = pytest.mark.parametrize(("spec", "task"), CASES)
every_case_later = pytest.mark.parametrize(("spec", "task"), LATER)
every_spec = pytest.mark.parametrize(("spec", "task"), SPECS)


def mixed_frame(rows: int, seed: int) -> pd.DataFrame:
    """Every kind of column, each with missing values where its kind can have them."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(3, 1, rows)
    amount[rng.random(rows) < 0.1] = np.nan
    city = np.array([f"city {code}" for code in rng.zipf(1.6, rows) % 400], dtype=object)
    purpose = rng.choice(np.array(["car", "house", "study", None], dtype=object), rows)
    active = rng.choice(np.array([True, False, None], dtype=object), rows, p=[0.5, 0.4, 0.1])
    since = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 100_000, rows), unit="h"))
    since[rng.random(rows) < 0.05] = pd.NaT
    return pd.DataFrame(
        {
            "amount": amount,
            "age": rng.integers(18, 90, rows),
            "purpose": purpose,
            "city": city,
            "active": active,
            "since": since,
        }
    )


KINDS = {
    "amount": "numeric",
    "age": "numeric",
    "purpose": "categorical",
    "city": "categorical",
    "active": "boolean",
    "since": "datetime",
}


def targets(frame: pd.DataFrame, task: str, seed: int) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=len(frame))
    score = np.log(frame["amount"].fillna(20.0)) + 1.5 * (frame["purpose"] == "car") + frame["age"] / 40 + noise
    if task == "regression":
        return score.to_numpy(dtype=np.float64)
    cuts = [0.5] if task == "binary" else [0.33, 0.66]
    return np.digitize(score, np.quantile(score, cuts)).astype(np.int64)


def schema_of(kinds: Mapping[str, str], task: str) -> TableSchema:
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in kinds.items())
    return TableSchema(columns, "target", task, CLASSES[task], ())


def rows_of(task: str, count: int, seed: int, *, weighted: bool = False) -> Rows:
    frame = mixed_frame(count, seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2.0, count) if weighted else None
    return Rows(frame, targets(frame, task, seed), weight)


def mixed_data(task: str, *, weighted: bool = False, validation: bool = True) -> FitData:
    held_out = rows_of(task, 100, 2, weighted=weighted) if validation else None
    return FitData(schema_of(KINDS, task), rows_of(task, 300, 1, weighted=weighted), held_out)


def fit(spec: ModelSpec, data: FitData, **context: typing.Any) -> FittedModel:
    # two threads of tiny networks mostly wait for each other, long on a busy machine
    cpus = 1 if spec.family in {"torch", "hybrid"} else 2
    return family_of(spec).fit(spec, data, FitContext(**{"seed": 7, "cpus": cpus, **context}))


def scoring_model(fitted: FittedModel, data: FitData) -> ScoringModel:
    features = tuple(Feature(column.name, column.kind) for column in data.schema.features)
    return ScoringModel(fitted.predictor, data.schema.task, data.schema.classes, features, data.schema.target, None)


@functools.cache
def _scoring_model_of(spec_json: str, task: str) -> ScoringModel:
    spec = pydantic.TypeAdapter[ModelSpec](ModelSpec).validate_json(spec_json)
    data = mixed_data(task)
    return scoring_model(fit(spec, data), data)


def fitted_once(spec: ModelSpec, task: str) -> ScoringModel:
    """For tests that only ask the model; it is fitted for the first of them."""
    return _scoring_model_of(spec.model_dump_json(), task)


def test_every_family_is_under_contract() -> None:
    assert {spec.family for _, spec, _ in _specs()} == set(FAMILIES)


@every_case
@pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weights"])
def test_fit_predict_save_load(spec: ModelSpec, task: str, weighted: bool, tmp_path: Path) -> None:
    data = mixed_data(task, weighted=weighted)
    family_of(spec).check(spec, task)
    model = scoring_model(fit(spec, data), data)
    fresh = mixed_frame(700, seed=3)
    fresh.loc[0, "purpose"] = "never seen"
    untouched = fresh.copy(deep=True)
    scores = model.scores(fresh)

    model.save(tmp_path / "model")
    loaded = ScoringModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.scores(fresh), scores)
    one_by_one = np.concatenate([loaded.scores(fresh[row : row + 1]) for row in range(5)])
    # BLAS adds up one row in another order than many; networks compute in float32
    np.testing.assert_allclose(one_by_one, scores[:5], rtol=1e-5 if spec.family in {"torch", "hybrid"} else 1e-12)
    pd.testing.assert_frame_equal(fresh, untouched)
    assert np.isfinite(scores).all()
    if task == "regression":
        assert scores.shape == (700,)
        assert list(loaded.predict(fresh).columns) == ["prediction"]
    else:
        assert scores.shape == (700, len(CLASSES[task]))
        np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert tuple(loaded.predict(fresh).columns) == CLASSES[task]
    assert loaded.scores(fresh[:0]).shape == (0, *scores.shape[1:])


@every_case_later
def test_the_same_seed_gives_the_same_model_to_the_last_digit(spec: ModelSpec, task: str) -> None:
    fresh = mixed_frame(100, seed=3)
    first, second = (fit(spec, mixed_data(task)).predictor.predict(fresh) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every_spec
def test_columns_may_come_in_any_order_with_others_between(spec: ModelSpec, task: str) -> None:
    model = fitted_once(spec, task)
    fresh = mixed_frame(50, seed=3)
    shuffled = fresh[fresh.columns[::-1]].assign(unrelated="x")
    np.testing.assert_array_equal(model.scores(shuffled), model.scores(fresh))


@every_spec
def test_bad_columns_are_named(spec: ModelSpec, task: str) -> None:
    model = fitted_once(spec, task)
    fresh = mixed_frame(5, seed=3)
    with pytest.raises(InputError, match=r"lack: 'amount'; nearest to 'amount': 'amuont'"):
        model.scores(fresh.rename(columns={"amount": "amuont"}))
    with pytest.raises(InputError, match=r"column 'age' should hold a number, not 'old' \(str\)"):
        model.scores(fresh.assign(age=["old", 2, 3, 4, 5]))
    with pytest.raises(InputError, match=r"column 'age' should hold finite numbers up to 3.4e38, not inf"):
        model.scores(fresh.assign(age=[1.0, np.inf, 3, 4, 5]))


@every_spec
def test_training_columns_of_the_wrong_type_are_an_error_of_the_data(spec: ModelSpec, task: str) -> None:
    data = mixed_data(task)
    wrong = Rows(data.train.frame.assign(age="old"), data.train.target, None)
    with pytest.raises(DataError, match="column 'age' should hold a number"):
        fit(spec, FitData(data.schema, wrong, data.validation))


@every_spec
def test_fits_without_validation_rows(spec: ModelSpec, task: str) -> None:
    data = mixed_data(task, validation=False)
    assert np.isfinite(fit(spec, data).predictor.predict(data.train.frame)).all()


def _log_loss(target: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> float:
    return float(-np.log(np.clip(scores[np.arange(len(target)), target], 1e-15, 1)).mean())


@every_case_later
def test_better_than_a_constant_on_real_data(spec: ModelSpec, task: str) -> None:
    loaders = {
        "binary": datasets.load_breast_cancer,
        "multiclass": datasets.load_wine,
        "regression": datasets.load_diabetes,
    }
    frame, target = loaders[task](return_X_y=True, as_frame=True)
    order = np.random.default_rng(0).permutation(len(frame))
    test, validation, train = np.split(order, [len(order) // 4, len(order) // 2])
    schema = schema_of(dict.fromkeys(frame.columns, "numeric"), task)
    values = target.to_numpy(dtype=np.float64 if task == "regression" else np.int64)
    parts = [Rows(frame.iloc[part].reset_index(drop=True), values[part], None) for part in (train, validation, test)]
    scores = fit(spec, FitData(schema, parts[0], parts[1])).predictor.predict(parts[2].frame)
    if task == "regression":
        assert np.mean((scores - values[test]) ** 2) < 0.75 * np.var(values[test])
    else:
        prior = np.bincount(values[train]) / len(train)
        constant = np.tile(prior, (len(test), 1))
        assert _log_loss(values[test], scores) < 0.5 * _log_loss(values[test], constant)


@every_spec
def test_unknown_parameters_name_the_nearest(spec: ModelSpec, task: str) -> None:
    known = "max_iter" if "logistic" in str(spec) else "alpha" if task == "regression" else "max_depth"
    known = {"torch": "patience", "hybrid": "n_folds", "auto": "n_folds"}.get(spec.family, known)
    wrong = spec.model_copy(update={"params": {f"{known}x": 3}})
    with pytest.raises(SpecError, match=rf"model\.params\.{known}x: .*nearest: {known}") as caught:
        family_of(wrong).check(wrong, task)
    assert caught.value.problems[0].value == 3


@every_spec
@pytest.mark.parametrize("name", ["n_jobs", "random_state"])
def test_what_belongs_elsewhere_in_the_spec_says_where(spec: ModelSpec, task: str, name: str) -> None:
    wrong = spec.model_copy(update={"params": {name: 3}})
    with pytest.raises(SpecError, match=rf"model\.params\.{name}: reserved: set (resources|split)\."):
        family_of(wrong).check(wrong, task)


class Cancelling(SilentObserver):
    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        raise JobCancelledError("cancelled")


class Listening(SilentObserver):
    def __init__(self) -> None:
        self.fractions: list[float] = []

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        self.fractions.append(fraction)


@every_spec
def test_a_fit_can_be_cancelled_from_progress(spec: ModelSpec, task: str) -> None:
    with pytest.raises(JobCancelledError):
        fit(spec, mixed_data(task), observer=Cancelling())


@every_spec
def test_progress_rises_to_one(spec: ModelSpec, task: str) -> None:
    observer = Listening()
    fit(spec, mixed_data(task), observer=observer)
    assert observer.fractions == sorted(observer.fractions)
    assert observer.fractions[-1] == 1.0
    assert min(observer.fractions) >= 0.0
