"""Columns made of categorical ones: they help where categories are many, and hold nothing of the row's own target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData, FittedModel, Structure
from training.models.families import family_of
from training.models.feature_choice import FeaturePlan
from training.models.features import learn_steps, out_of_fold
from training.mts_scoring.feature_predictor import FeaturePredictor
from training.mts_scoring.feature_steps import with_steps
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import XGBoostSpec

TREES = {"n_estimators": 60, "learning_rate": 0.1}


def data_of(signal: float, categories: int = 600, rows: int = 4000, task: str = "binary") -> tuple[FitData, Rows]:
    """Train and validation, and a third part to measure on; each category has an effect of its own."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, categories, rows)
    effect = signal * rng.normal(size=categories)[codes] + rng.normal(size=rows)
    frame = pd.DataFrame({"city": [f"city {code}" for code in codes], "x": rng.normal(size=rows)})
    target = effect if task == "regression" else (effect > 0).astype(np.int64)
    schema = TableSchema(
        (Column("city", "categorical", "feature", 0, categories), Column("x", "numeric", "feature", 0, rows)),
        "t", task, () if task == "regression" else ("no", "yes"), (),
    )  # fmt: skip
    ends = [rows // 2, rows * 3 // 4]
    parts = [
        Rows(frame.iloc[side].reset_index(drop=True), target[side], None) for side in np.split(np.arange(rows), ends)
    ]
    return FitData(schema, parts[0], parts[1]), parts[2]


def fit(data: FitData, *features: str) -> FittedModel:
    spec = XGBoostSpec(params=TREES, features=list(features))
    return family_of(spec).fit(spec, data, FitContext(seed=1))


def test_target_encoding_pays_where_categories_are_many() -> None:
    data, test = data_of(signal=2.0)
    plain, encoded = (
        roc_auc_score(test.target, fit(data, *features).predictor.predict(test.frame)[:, 1])
        for features in ((), ("target_encoding", "counts"))
    )
    assert encoded > plain + 0.02


def test_one_row_per_category_teaches_nothing() -> None:
    """Encoded with its own target a category of one row would give the answer away in training."""
    data, test = data_of(signal=0.0, categories=100_000)
    fitted = fit(data, "target_encoding")
    scores = fitted.predictor.predict(data.train.frame)[:, 1]
    assert roc_auc_score(data.train.target, scores) < 0.75
    assert abs(roc_auc_score(test.target, fitted.predictor.predict(test.frame)[:, 1]) - 0.5) < 0.06


def test_raw_rows_in_saved_and_loaded(tmp_path: Path) -> None:
    data, test = data_of(signal=2.0)
    fitted = fit(data, "target_encoding", "counts")
    assert isinstance(fitted.predictor, FeaturePredictor)
    features = (Feature("city", "categorical"), Feature("x", "numeric"))
    model = ScoringModel(fitted.predictor, "binary", ("no", "yes"), features, "t", 0.5)
    model.save(tmp_path / "model")
    frame = test.frame.copy()
    frame.loc[0, "city"], frame.loc[1, "city"] = None, "never seen"
    np.testing.assert_array_equal(ScoringModel.load(tmp_path / "model").scores(frame), model.scores(frame))
    assert model.requirements == ("numpy", "pandas", "xgboost")


def test_few_values_are_left_to_the_trees() -> None:
    data, _ = data_of(signal=2.0, categories=10)
    assert not isinstance(fit(data, "target_encoding").predictor, FeaturePredictor)


@pytest.mark.parametrize("structure", ["groups", "times"])
def test_groups_and_times_are_obeyed(structure: str) -> None:
    data, _ = data_of(signal=2.0)
    rows = len(data.train) + 1000
    tied = Structure(**{structure: np.arange(rows) // 4})
    fitted = fit(FitData(data.schema, data.train, data.validation, tied), "target_encoding")
    assert np.isfinite(fitted.predictor.predict(data.train.frame)).all()


def test_a_regression_has_encodings_too() -> None:
    data, test = data_of(signal=2.0, task="regression")
    plain, encoded = (
        np.mean(np.square(fit(data, *features).predictor.predict(test.frame) - test.target))
        for features in ((), ("target_encoding",))
    )
    assert encoded < plain


def crossed_data(rows: int = 6000) -> tuple[FitData, Rows]:
    """Pairs of categories have an effect that their parts alone do not have; a number counts within its category."""
    rng = np.random.default_rng(0)
    one, two, three = (rng.integers(0, 12, rows) for _ in range(3))
    apart = rng.normal(size=rows)
    effect = 2.0 * rng.normal(size=(12, 12))[one, two] + 2.0 * apart
    frame = pd.DataFrame({
        "one": [f"a{code}" for code in one], "two": [f"b{code}" for code in two], "job": [f"c{code}" for code in three],
        "pay": 100.0 * rng.normal(size=12)[three] + apart, "noise": rng.normal(size=rows),
    })  # fmt: skip
    target = (effect + rng.normal(size=rows) > 0).astype(np.int64)
    kinds = {"one": "categorical", "two": "categorical", "job": "categorical", "pay": "numeric", "noise": "numeric"}
    columns = tuple(Column(name, kind, "feature", 0, 12) for name, kind in kinds.items())  # type: ignore[arg-type]
    schema = TableSchema(columns, "t", "binary", ("no", "yes"), ())
    parts = [
        Rows(frame.iloc[side].reset_index(drop=True), target[side], None)
        for side in np.split(np.arange(rows), [rows // 2, rows * 3 // 4])
    ]
    return FitData(schema, parts[0], parts[1]), parts[2]


def test_the_pairs_and_the_deviations_that_say_something_are_made_and_no_others() -> None:
    data, _ = crossed_data()
    predictor = fit(data, "crosses", "aggregates").predictor
    assert isinstance(predictor, FeaturePredictor)
    assert {step.sources for step in predictor.steps} == {("one", "two"), ("job", "pay")}


@pytest.mark.parametrize("features", [("crosses",), ("aggregates",), ("crosses", "aggregates")])
def test_crosses_and_aggregates_pay_where_columns_say_more_together(features: tuple[str, ...]) -> None:
    data, test = crossed_data()
    plain, made = (
        roc_auc_score(test.target, fit(data, *wanted).predictor.predict(test.frame)[:, 1]) for wanted in ((), features)
    )
    assert made > plain + 0.004


def test_made_columns_are_part_of_the_saved_model_and_read_what_training_never_had(tmp_path: Path) -> None:
    data, test = crossed_data()
    fitted = fit(data, "crosses", "aggregates")
    features = tuple(Feature(column.name, column.kind) for column in data.schema.features)
    model = ScoringModel(fitted.predictor, "binary", ("no", "yes"), features, "t", 0.5)
    model.save(tmp_path / "model")
    frame = test.frame.copy()
    frame.loc[0, "one"], frame.loc[1, "two"], frame.loc[2, "job"], frame.loc[3, "pay"] = None, "new", "new", np.nan
    np.testing.assert_array_equal(ScoringModel.load(tmp_path / "model").scores(frame), model.scores(frame))
    assert np.isfinite(model.scores(frame)).all()


def test_noise_has_no_pairs_worth_making() -> None:
    data, _ = crossed_data()
    shuffled = np.random.default_rng(1).permutation(data.train.target)
    assert not isinstance(
        fit(
            FitData(data.schema, Rows(data.train.frame, shuffled, None), data.validation), "crosses", "aggregates"
        ).predictor,
        FeaturePredictor,
    )


def test_a_cross_of_a_train_row_knows_nothing_of_its_own_target() -> None:
    """Pairs of two rows each: encoded with their own target they would give it away in training."""
    rng = np.random.default_rng(0)
    rows = 4000
    codes = np.arange(rows) // 2
    frame = pd.DataFrame({"one": [f"a{code % 50}" for code in codes], "two": [f"b{code // 50}" for code in codes]})
    target = rng.integers(0, 2, rows)
    columns = tuple(Column(name, "categorical", "feature", 0, 50) for name in frame)
    data = FitData(TableSchema(columns, "t", "binary", ("no", "yes"), ()), Rows(frame, target, None), None)
    plan = FeaturePlan(crosses=(("one", "two"),))
    steps = learn_steps(plan, data.train, data.schema)
    [name] = steps[0].outputs
    own, others = with_steps(frame, steps)[name], out_of_fold(plan, data, 0, steps)[name]
    assert roc_auc_score(target, own) > 0.7
    assert roc_auc_score(target, others) < 0.55
