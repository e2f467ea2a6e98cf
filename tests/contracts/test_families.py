"""What every model family promises, over every family, estimator and task."""

from __future__ import annotations

import functools
import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pydantic
import pytest
from family_specs import CLASSES, fit, mixed_data, mixed_frame, schema_of, scoring_model, specs
from sklearn import datasets

from training.data.table import Rows
from training.errors import DataError, JobCancelledError, SpecError
from training.events import SilentObserver
from training.models import FitData
from training.models.families import FAMILIES, family_of
from training.mts_scoring.model import InputError, ScoringModel
from training.spec import ModelSpec

MANY_FITS = ("torch", "hybrid", "auto")
"""Families whose fits take long: the quick tests see of these the first task, and that in one test."""


def _case(name: str, spec: ModelSpec, task: str, *, is_first: bool) -> typing.Any:
    marks = [] if is_first or spec.family not in MANY_FITS else [pytest.mark.slow]
    return pytest.param(spec, task, id=f"{name}-{task}", marks=marks)


CASES = [_case(name, spec, task, is_first=task == tasks[0]) for name, spec, tasks in specs() for task in tasks]
LATER = [_case(name, spec, task, is_first=False) for name, spec, tasks in specs() for task in tasks]
SPECS = [_case(name, spec, tasks[0], is_first=False) for name, spec, tasks in specs()]
every_case = pytest.mark.parametrize(("spec", "task"), CASES)
every_case_later = pytest.mark.parametrize(("spec", "task"), LATER)
every_spec = pytest.mark.parametrize(("spec", "task"), SPECS)


@functools.cache
def _scoring_model_of(spec_json: str, task: str) -> ScoringModel:
    spec = pydantic.TypeAdapter[ModelSpec](ModelSpec).validate_json(spec_json)
    data = mixed_data(task)
    return scoring_model(fit(spec, data), data)


def fitted_once(spec: ModelSpec, task: str) -> ScoringModel:
    """For tests that only ask the model; it is fitted for the first of them."""
    return _scoring_model_of(spec.model_dump_json(), task)


def test_every_family_is_under_contract() -> None:
    assert {spec.family for _, spec, _ in specs()} == set(FAMILIES)


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
