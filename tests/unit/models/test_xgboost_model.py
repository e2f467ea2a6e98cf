"""The xgboost family: parameters, early stopping, deadlines, checkpoints, constraints."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from training.data.table import Column, Rows, TableSchema
from training.errors import JobCancelledError, SpecError
from training.events import SilentObserver
from training.models import FitContext, FitData, FittedModel
from training.models import xgboost_training as boosting
from training.models.xgboost_model import XGBoostFamily
from training.spec import XGBoostSpec

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
KINDS = {"age": "numeric", "debt": "numeric", "purpose": "categorical"}
NO_SAMPLING = {"subsample": 1.0, "colsample_bytree": 1.0}


def rows_of(task: str, count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(18, 80, count),
            "debt": rng.exponential(5, count),
            "purpose": rng.choice(["car", "house"], count),
        }
    )
    score = frame["age"] / 20 - frame["debt"] / 5 + (frame["purpose"] == "car") + rng.normal(size=count)
    if task == "regression":
        return Rows(frame, score.to_numpy(), None)
    cuts = [2.0] if task == "binary" else [1.0, 2.5]
    return Rows(frame, np.digitize(score, cuts).astype(np.int64), None)


def data_of(task: str = "binary", *, validation: bool = True) -> FitData:
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in KINDS.items())
    schema = TableSchema(columns, "t", task, CLASSES[task], ())
    return FitData(schema, rows_of(task, 400, 1), rows_of(task, 150, 2) if validation else None)


def fit(params: Mapping[str, Any], data: FitData | None = None, **context: Any) -> FittedModel:
    return XGBoostFamily().fit(XGBoostSpec(params=dict(params)), data or data_of(), FitContext(**context))


@pytest.mark.parametrize(
    ("params", "task", "field", "message"),
    [
        ({"max_dept": 3}, "binary", "max_dept", "xgboost has no such parameter; nearest: max_depth"),
        ({"n_estimators": -5}, "binary", "n_estimators", "must be a whole number of at least 1"),
        ({"num_boost_round": 2.5}, "binary", "num_boost_round", "must be a whole number of at least 1"),
        ({"early_stopping_rounds": True}, "binary", "early_stopping_rounds", "must be a whole number of at least 0"),
        ({"max_depth": "deep"}, "binary", "max_depth", "Invalid Parameter format for max_depth expect int"),
        ({"eta": -0.1}, "binary", "eta", "value -0.1 for Parameter learning_rate should be greater equal to 0"),
        ({"subsample": 1.5}, "binary", "subsample", r"value 1.5 for Parameter subsample exceed bound \[0,1\]"),
        (
            {"grow_policy": "upwards"},
            "binary",
            "grow_policy",
            "'upwards', valid values are: {'depthwise'",
        ),
        ({"max_depth": [3]}, "binary", "max_depth", "Invalid Parameter format for max_depth"),
        ({"base_score": 7}, "binary", "base_score", r"base_score must be in \(0,1\)"),
        ({"eta": 0.1, "learning_rate": 0.2}, "binary", "learning_rate", "the same parameter as eta"),
        ({"nthread": 4}, "binary", "nthread", "reserved: set resources.cpus_per_worker instead"),
        (
            {"objective": "reg:squarederror"},
            "binary",
            "objective",
            "a binary task; possible: binary:logistic",
        ),
        ({"eval_metric": "rmse"}, "multiclass", "eval_metric", "does not suit a multiclass task; possible: mlogloss"),
        ({"booster": "gblinear"}, "regression", "booster", "only gbtree; for a linear model use family sklearn"),
        ({"monotone_constraints": [1, 0]}, "binary", "monotone_constraints", "must name columns"),
        ({"interaction_constraints": ["age"]}, "binary", "interaction_constraints", "must be lists of columns"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], task: str, field: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        XGBoostFamily().check(XGBoostSpec(params=params), task)
    assert caught.value.problems[0].field == f"model.params.{field}"
    assert "Stack trace" not in caught.value.message
    assert "/" not in caught.value.message.replace("n/a", "")


def test_every_unknown_parameter_is_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        XGBoostFamily().check(XGBoostSpec(params={"max_dept": 3, "etaa": 1, "max_bin": 64}), "binary")
    assert [problem.field for problem in caught.value.problems] == ["model.params.max_dept", "model.params.etaa"]


def test_native_aliases_mean_the_same() -> None:
    frame = rows_of("binary", 50, 3).frame
    native = fit({"eta": 0.2, "lambda": 3, "alpha": 0.1, "num_boost_round": 12, "min_split_loss": 0.2})
    named = fit({"learning_rate": 0.2, "reg_lambda": 3, "reg_alpha": 0.1, "n_estimators": 12, "gamma": 0.2})
    np.testing.assert_array_equal(native.predictor.predict(frame), named.predictor.predict(frame))
    assert native.params == named.params
    assert native.params["n_estimators"] == 12


def test_early_stopping_keeps_the_best_round() -> None:
    fitted = fit({"learning_rate": 0.3, "early_stopping_rounds": 10})
    rounds, best = fitted.facts["rounds"], fitted.facts["best_iteration"]
    assert rounds == best + 1 + 10 < 2000
    booster = fitted.predictor.booster  # type: ignore[attr-defined]
    assert booster.num_boosted_rounds() == best + 1
    validation = data_of().validation
    assert validation is not None
    scores = fitted.predictor.predict(validation.frame)[np.arange(len(validation)), validation.target.astype(int)]
    assert -np.log(scores).mean() == pytest.approx(fitted.facts["best_validation_log_loss"], rel=1e-4)


@pytest.mark.parametrize(("task", "metric"), [("binary", "auc"), ("regression", "mae")])
def test_early_stopping_watches_the_chosen_metric(task: str, metric: str) -> None:
    fitted = fit({"learning_rate": 0.3, "eval_metric": metric}, data_of(task))
    name = {"auc": "roc_auc", "mae": "mae"}[metric]
    assert fitted.facts["rounds"] < 2000
    assert 0.6 < fitted.facts[f"best_validation_{name}"] < 1.0


def test_early_stopping_can_be_switched_off() -> None:
    assert fit({"n_estimators": 90, "learning_rate": 0.9, "early_stopping_rounds": 0}).facts["rounds"] == 90


def test_without_validation_rows_all_rounds_are_kept() -> None:
    assert fit({"n_estimators": 60}, data_of(validation=False)).facts == {"rounds": 60, "best_iteration": 59}


@pytest.mark.parametrize(
    "objective", ["count:poisson", "reg:gamma", "reg:absoluteerror", "reg:tweedie", "reg:pseudohubererror"]
)
def test_objectives_of_regression(objective: str) -> None:
    data = data_of("regression")
    positive = Rows(data.train.frame, np.exp(data.train.target), None)
    fitted = fit({"objective": objective, "n_estimators": 100}, FitData(data.schema, positive, None))
    scores = fitted.predictor.predict(positive.frame)
    assert np.corrcoef(scores, positive.target)[0, 1] > 0.5


def test_monotone_constraints_by_name() -> None:
    fitted = fit({"monotone_constraints": {"debt": 1}, "n_estimators": 50}, data_of(validation=False))
    grid = pd.DataFrame({"age": 40.0, "debt": np.linspace(0, 30, 100), "purpose": "car"})
    assert (np.diff(fitted.predictor.predict(grid)[:, 1]) >= 0).all()  # against the data, where debt lowers it


def test_interaction_constraints_by_name() -> None:
    data = data_of("regression", validation=False)
    fitted = fit({"interaction_constraints": [["age"], ["debt", "purpose"]], "n_estimators": 30}, data)
    grid = pd.DataFrame({"age": [20.0, 70.0, 20.0, 70.0], "debt": [0.1, 0.1, 9.0, 9.0], "purpose": "car"})
    low, high, low_debt, high_debt = fitted.predictor.predict(grid)
    assert high - low == pytest.approx(high_debt - low_debt, abs=1e-5)  # the effect of age does not depend on the debt


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"monotone_constraints": {"agee": 1}}, r"monotone_constraints: no such feature; nearest: age"),
        ({"monotone_constraints": {"purpose": 1}}, r"monotone_constraints: only a numeric or boolean column"),
        ({"interaction_constraints": [["age", "dept"]]}, r"interaction_constraints: no such feature; nearest: debt"),
    ],
)
def test_constraints_that_do_not_fit_the_columns(constraints: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fit(constraints)


def test_rows_fed_in_batches_give_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows_of("binary", 50, 3).frame
    whole = fit({"n_estimators": 20, "max_bin": 1024})
    monkeypatch.setattr(boosting, "BATCH_VALUES", 150)
    batched = fit({"n_estimators": 20, "max_bin": 1024})
    np.testing.assert_allclose(batched.predictor.predict(frame), whole.predictor.predict(frame), atol=1e-6)


def test_after_the_deadline_the_best_so_far_comes_back() -> None:
    fitted = fit({"n_estimators": 1_000_000}, data_of(validation=False), deadline=time.monotonic())
    assert fitted.facts["rounds"] == 1


class Recorder(SilentObserver):
    """Notes the metrics; cancels after some rounds."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.seen: list[tuple[int | None, dict[str, float]]] = []
        self._cancel_after = cancel_after

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.seen.append((step, dict(values)))

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        if self._cancel_after is not None and len(self.seen) >= self._cancel_after:
            raise JobCancelledError("cancelled")


def test_the_last_round_is_always_reported() -> None:
    observer = Recorder()
    fit({"n_estimators": 30, "early_stopping_rounds": 0}, observer=observer)
    step, values = observer.seen[-1]
    assert step == 30
    assert list(values) == ["validation/log_loss"]


@pytest.mark.usefixtures("checkpoint_each_round")
def test_where_no_round_depends_on_it_every_tenth_is_measured() -> None:
    observer, each = Recorder(), Recorder()
    params = {"n_estimators": 25, "learning_rate": 0.02, **NO_SAMPLING}
    fitted = fit(params | {"early_stopping_rounds": 0}, observer=observer)
    same = fit(params | {"early_stopping_rounds": 100}, observer=each)
    assert [step for step, _ in observer.seen] == [10, 20, 25]
    told = {step: values["validation/log_loss"] for step, values in each.seen}
    assert len(told) == 25
    assert [values["validation/log_loss"] for _, values in observer.seen] == pytest.approx(
        [told[10], told[20], told[25]]
    )
    frame = rows_of("binary", 50, 3).frame
    assert same.facts["best_iteration"] == 24
    np.testing.assert_array_equal(fitted.predictor.predict(frame), same.predictor.predict(frame))


@pytest.mark.usefixtures("checkpoint_each_round")
def test_of_many_rows_the_best_round_is_found_to_the_next_few(monkeypatch: pytest.MonkeyPatch) -> None:
    data, exact, coarse = data_of("binary"), Recorder(), Recorder()
    assert data.validation is not None
    params = {"early_stopping_rounds": 20, "learning_rate": 0.3, **NO_SAMPLING}
    each = fit(params, data, observer=exact)
    monkeypatch.setattr(boosting, "MANY_ROWS", len(data.validation))
    fitted = fit(params, data, observer=coarse)
    every = boosting.EVERY_OF_MANY_ROWS
    assert [step for step, _ in coarse.seen] == [every * (turn + 1) for turn in range(len(coarse.seen))]
    told = {step: values["validation/log_loss"] for step, values in exact.seen}
    known = {step: values["validation/log_loss"] for step, values in coarse.seen if step in told}
    assert known == pytest.approx({step: told[step] for step in known})
    kept = int(fitted.facts["best_iteration"]) + 1
    assert kept == min(known, key=known.__getitem__)
    assert abs(kept - int(each.facts["best_iteration"]) - 1) < every
    assert fitted.validation_scores is not None
    np.testing.assert_array_equal(fitted.validation_scores, fitted.predictor.predict(data.validation.frame))


@pytest.fixture
def checkpoint_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr("training.models.fitting.REPORTS_PER_S", 1e9)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.usefixtures("checkpoint_each_round")
def test_an_interrupted_fit_goes_on_after_its_checkpoint(task: str, tmp_path: Path) -> None:
    params = {"learning_rate": 0.1, "early_stopping_rounds": 15, **NO_SAMPLING}
    frame = rows_of(task, 50, 3).frame
    whole = fit(params, data_of(task))
    with pytest.raises(JobCancelledError):
        fit(params, data_of(task), checkpoint_folder=tmp_path, observer=Recorder(cancel_after=12))
    observer = Recorder()
    resumed = fit(params, data_of(task), checkpoint_folder=tmp_path, observer=observer)
    assert observer.seen[0][0] == 13  # twelve rounds were in the checkpoint
    assert resumed.facts == whole.facts
    np.testing.assert_array_equal(resumed.predictor.predict(frame), whole.predictor.predict(frame))


def test_a_fit_that_is_asked_to_stop_leaves_its_trees_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.models.fitting.REPORTS_PER_S", 1e9)
    with pytest.raises(JobCancelledError):
        fit({"n_estimators": 30}, checkpoint_folder=tmp_path, observer=Recorder(cancel_after=12))
    observer = Recorder()
    assert fit({"n_estimators": 30}, checkpoint_folder=tmp_path, observer=observer).facts["rounds"] == 30
    assert observer.seen[0][0] == 13, "the twelve rounds were kept, long before a checkpoint was due"


@pytest.mark.usefixtures("checkpoint_each_round")
def test_a_checkpoint_of_another_fit_is_not_used(tmp_path: Path) -> None:
    frame = rows_of("binary", 50, 3).frame
    fit({"n_estimators": 10, "max_depth": 2}, checkpoint_folder=tmp_path)
    again = fit({"n_estimators": 10, "max_depth": 3}, checkpoint_folder=tmp_path)
    fresh = fit({"n_estimators": 10, "max_depth": 3})
    np.testing.assert_array_equal(again.predictor.predict(frame), fresh.predictor.predict(frame))


def test_a_broken_checkpoint_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / boosting.CHECKPOINT_FILE).write_bytes(b"{L\x00broken")
    assert fit({"n_estimators": 10}, checkpoint_folder=tmp_path).facts["rounds"] == 10
    assert "checkpoint cannot be read" in caplog.text


def test_a_finished_fit_that_is_started_again_gives_the_same(tmp_path: Path, checkpoint_each_round: None) -> None:
    frame = rows_of("binary", 50, 3).frame
    first, second = (fit({"n_estimators": 10}, checkpoint_folder=tmp_path) for _ in range(2))
    np.testing.assert_array_equal(first.predictor.predict(frame), second.predictor.predict(frame))


def test_the_model_carries_no_trace_of_checkpoints(tmp_path: Path, checkpoint_each_round: None) -> None:
    fitted = fit({"n_estimators": 10}, checkpoint_folder=tmp_path)
    booster: xgb.Booster = fitted.predictor.booster  # type: ignore[attr-defined]
    assert booster.attributes() == {}
    assert list(tmp_path.iterdir()) == [tmp_path / boosting.CHECKPOINT_FILE]


@pytest.mark.parametrize("task", CLASSES)
def test_what_the_fit_says_of_the_validation_rows_is_what_its_model_says(task: str) -> None:
    data = data_of(task)
    assert data.validation is not None
    data.validation.frame.loc[::7, ["debt", "purpose"]] = None
    fitted = fit({"n_estimators": 40, "early_stopping_rounds": 0}, data)
    assert fitted.validation_scores is not None
    np.testing.assert_array_equal(fitted.validation_scores, fitted.predictor.predict(data.validation.frame))


@pytest.mark.parametrize("task", CLASSES)
def test_many_trees_are_summed_as_if_at_once(task: str) -> None:
    fitted = fit({"n_estimators": 150, "max_depth": 2, "early_stopping_rounds": 0}, data_of(task))
    frame = rows_of(task, 600, 3).frame
    alone = np.concatenate([fitted.predictor.predict(frame.iloc[at : at + 300]) for at in (0, 300)])
    np.testing.assert_array_equal(fitted.predictor.predict(frame), alone)


class Meddler(SilentObserver):
    """Does something to the folder of the checkpoints when a round is told of."""

    def __init__(self, acts: Mapping[int, Callable[[], object]]) -> None:
        self._acts = dict(acts)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self._acts.pop(step or 0, lambda: None)()


@pytest.mark.usefixtures("checkpoint_each_round")
def test_a_fit_goes_on_where_its_checkpoints_find_no_place_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "job"

    def in_its_place() -> None:
        shutil.rmtree(folder)
        folder.touch()

    heard = Meddler({6: in_its_place, 12: folder.unlink})
    params = {"n_estimators": 20, **NO_SAMPLING}
    with caplog.at_level(logging.INFO, logger="training"):
        fitted = fit(params, checkpoint_folder=folder, observer=heard)
    assert fitted.facts["rounds"] == 20
    told = [record for record in caplog.records if "checkpoint" in record.message]
    assert [record.levelname for record in told] == ["WARNING", "INFO"], "once for all rounds, and when it is over"
    assert str(folder) in told[0].message
    assert "the fit goes on" in told[0].message
    assert told[1].message == "checkpoints are written again"
    again = Recorder()
    assert fit(params, checkpoint_folder=folder, observer=again).facts["rounds"] == 20
    assert again.seen == [], "the last checkpoint has all rounds"


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints, rounds = boosting.Checkpoints(tmp_path, "fit"), []
    for number in (3, 5):
        booster: xgb.Booster = fit({"n_estimators": number}).predictor.booster  # type: ignore[attr-defined]
        if rounds:
            (tmp_path / boosting.CHECKPOINT_FILE).with_suffix(".partial.ubj").symlink_to("/dev/full")
        rounds.append(booster.num_boosted_rounds())
        checkpoints.save(booster, boosting.BoostingState(rounds=rounds[-1]))
        assert booster.attributes() == {}
    assert "No space left on device" in caplog.text
    found = boosting.Checkpoints(tmp_path, "fit").load()
    assert found is not None
    assert found[0].num_boosted_rounds() == found[1].rounds == rounds[0]
    assert list(tmp_path.iterdir()) == [tmp_path / boosting.CHECKPOINT_FILE], (
        "half a file would take what room there is"
    )
