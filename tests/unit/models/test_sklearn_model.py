"""The sklearn family: estimators, parameters, forests in batches, histogram boosting with validation rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from training.data.table import Column, Rows, TableSchema
from training.errors import FitError, SpecError
from training.events import SilentObserver
from training.models import FitContext, FitData, FittedModel
from training.models.families import FAMILIES, family_of
from training.models.fitting import features_of
from training.models.sklearn_model import SklearnFamily
from training.mts_scoring.encoder import TableEncoder
from training.spec import SklearnSpec

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


def rows_of(count: int, seed: int, classes: int = 2) -> Rows:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=count), "city": rng.integers(0, 40, count).astype(str)})
    return Rows(
        frame, np.digitize(frame["x"] + rng.normal(size=count), [-0.5, 0.5][: classes - 1]).astype(np.int64), None
    )


def data_of(task: str = "binary", *, validation: bool = True) -> FitData:
    columns = (Column("x", "numeric", "feature", 0, 2), Column("city", "categorical", "feature", 0, 2))
    schema = TableSchema(columns, "t", task, CLASSES[task], ())
    classes = max(2, len(CLASSES[task]))
    return FitData(schema, rows_of(300, 1, classes), rows_of(100, 2, classes) if validation else None)


def fit(
    estimator: str, params: dict[str, Any] | None = None, data: FitData | None = None, **context: Any
) -> FittedModel:
    spec = SklearnSpec(estimator=estimator, params=params or {})
    return SklearnFamily().fit(spec, data or data_of(), FitContext(**context))


@pytest.mark.parametrize(
    ("estimator", "task", "possible"),
    [
        ("ridge", "binary", "logistic_regression, random_forest, extra_trees, hist_gradient_boosting"),
        ("elastic_net", "multiclass", "logistic_regression, random_forest"),
        ("logistic_regression", "regression", "ridge, elastic_net, random_forest"),
    ],
)
def test_an_estimator_for_another_task(estimator: str, task: str, possible: str) -> None:
    with pytest.raises(
        SpecError, match=f"model.estimator: does not suit a {task} task; possible: {possible}"
    ) as caught:
        SklearnFamily().check(SklearnSpec(estimator=estimator), task)
    assert caught.value.problems[0].value == estimator


@pytest.mark.parametrize(
    ("estimator", "params", "field", "message"),
    [
        ("logistic_regression", {"max_iters": 1}, "max_iters", "no such parameter; nearest: max_iter"),
        ("logistic_regression", {"C": -1}, "C", r"The 'C' parameter of LogisticRegression must be a float .* Got -1"),
        (
            "random_forest",
            {"n_estimators": "many"},
            "n_estimators",
            "The 'n_estimators' parameter of RandomForest",
        ),
        ("hist_gradient_boosting", {"max_iter": 0}, "max_iter", "The 'max_iter' parameter"),
        (
            "hist_gradient_boosting",
            {"categorical_features": [0]},
            "categorical_features",
            "reserved: categorical col",
        ),
        ("extra_trees", {"n_jobs": 4}, "n_jobs", "reserved: set resources.cpus_per_worker instead"),
    ],
)
def test_wrong_parameters(estimator: str, params: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        SklearnFamily().check(SklearnSpec(estimator=estimator, params=params), "binary")
    assert caught.value.problems[0].field == f"model.params.{field}"


def test_class_weights_go_by_label() -> None:
    fitted = fit("logistic_regression", {"class_weight": {"yes": 20.0}})
    frame = rows_of(100, 3).frame
    assert (fitted.predictor.predict(frame)[:, 1] > fit("logistic_regression").predictor.predict(frame)[:, 1]).all()
    with pytest.raises(SpecError, match=r"class_weight\.yess: no such class; nearest: yes"):
        fit("logistic_regression", {"class_weight": {"yess": 20.0}})


def test_a_forest_in_batches_is_the_forest_in_one_go() -> None:
    data, frame = data_of(), rows_of(100, 3).frame
    encoder = TableEncoder.fit(data.train.frame, features_of(data.schema))
    one_go = RandomForestClassifier(25, min_samples_leaf=2, random_state=5)
    one_go.fit(encoder.transform(data.train.frame), data.train.target)
    batched = fit("random_forest", {"n_estimators": 25}, data, seed=5, cpus=2)
    np.testing.assert_array_equal(batched.predictor.predict(frame), one_go.predict_proba(encoder.transform(frame)))


def test_the_deadline_ends_a_forest_early(caplog: pytest.LogCaptureFixture) -> None:
    fitted = fit("random_forest", {"n_estimators": 10_000}, deadline=time.monotonic())
    assert fitted.params["n_estimators"] == 10
    assert "the time budget ended the forest after 10 of 10000 trees" in caplog.text


def test_what_cannot_be_interrupted_does_not_begin_after_the_deadline() -> None:
    with pytest.raises(FitError, match="the time budget was over before the fit began"):
        fit("hist_gradient_boosting", deadline=time.monotonic())


class Holding(SilentObserver):
    """Keeps the fit, once it has begun, until its deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        while fraction > 0 and time.monotonic() < self._deadline:
            time.sleep(0.01)


def test_the_deadline_ends_a_logistic_regression_early(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.models.sklearn_model.ITERATIONS_PER_STEP", 1)
    deadline = time.monotonic() + 0.5
    fitted = fit("logistic_regression", deadline=deadline, observer=Holding(deadline))
    assert "the time budget ended the logistic regression after 2 of 1000 iterations" in caplog.text
    assert np.isfinite(fitted.predictor.predict(rows_of(50, 3).frame)).all()


def test_a_logistic_regression_that_has_time_is_that_without_a_deadline(caplog: pytest.LogCaptureFixture) -> None:
    frame = rows_of(100, 3).frame
    in_steps = fit("logistic_regression", deadline=time.monotonic() + 3600)
    np.testing.assert_allclose(
        in_steps.predictor.predict(frame), fit("logistic_regression").predictor.predict(frame), atol=1e-3
    )
    assert in_steps.params["max_iter"] == 1000
    assert not caplog.records


def test_histogram_boosting_stops_on_the_validation_rows() -> None:
    assert fit("hist_gradient_boosting").facts["iterations"] < 300
    assert fit("hist_gradient_boosting", {"max_iter": 120}, data_of(validation=False)).facts["iterations"] == 120
    assert fit("hist_gradient_boosting", {"max_iter": 120, "early_stopping": False}).facts["iterations"] == 120


def test_histogram_boosting_keeps_categories_within_its_bins() -> None:
    fitted = fit("hist_gradient_boosting", {"max_bins": 16, "max_iter": 10})
    assert np.isfinite(fitted.predictor.predict(rows_of(50, 3).frame)).all()


def test_a_class_without_training_rows_gets_no_probability() -> None:
    data = data_of("multiclass")
    two = Rows(data.train.frame, np.minimum(data.train.target, 1), None)
    scores = fit("logistic_regression", {}, FitData(data.schema, two, None)).predictor.predict(two.frame)
    assert scores.shape == (300, 3)
    assert (scores[:, 2] == 0).all()


def test_a_target_with_one_class_is_a_plain_error() -> None:
    data = data_of()
    constant = Rows(data.train.frame, np.zeros(300, dtype=np.int64), None)
    with pytest.raises(FitError, match=r"logistic_regression: .*class"):
        fit("logistic_regression", {}, FitData(data.schema, constant, None))


def test_a_solver_that_does_not_converge_is_a_warning_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    fit("logistic_regression", {"max_iter": 1})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "logistic_regression: lbfgs failed to converge" in caplog.text


def test_a_family_is_found_by_its_name() -> None:
    for name, family in FAMILIES.items():
        assert family.name == name
    assert family_of(SklearnSpec()) is FAMILIES["sklearn"]
