"""The parts of a study that need no cluster: journal, ledger, milestones, stops, one trial."""

# ruff: noqa: PD011  # the values of a trial, not of a frame

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.data.table import Column, Rows, TableSchema
from training.errors import FitError
from training.models import FitContext, FitData, Structure
from training.models.families import family_of
from training.result import TrialRow
from training.spec import SklearnSpec, StopSpec, TorchSpec, XGBoostSpec
from training.tuning.actor import Failure
from training.tuning.forecasts import Forecasts
from training.tuning.held_out import fold_data, objective_noise
from training.tuning.journal import JOURNAL_FILE, Journal
from training.tuning.ledger import Ledger
from training.tuning.milestones import Milestones
from training.tuning.objective import Goal
from training.tuning.space import Space
from training.tuning.stops import StopRule
from training.tuning.work import Progress, Trial, TrialOutcome, TrialWork

GOAL = Goal(("roc_auc",))
SCHEMA = TableSchema(
    (Column("x", "numeric", "feature", 0, 2), Column("k", "categorical", "feature", 0, 2)),
    "y",
    "binary",
    ("a", "b"),
    (),
)


def rows_of(count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    frame = pd.DataFrame({"x": x, "k": rng.choice(["p", "q"], count)})
    return Rows(frame, (x + rng.normal(size=count) > 0).astype(np.int64), None)


def work_of(model: Any, folder: Path, **changes: Any) -> TrialWork:
    data = FitData(SCHEMA, rows_of(300, 0), rows_of(120, 1))
    work = TrialWork(model=model, parts=(data,), goal=GOAL, seed=0, cpus=1, gpus=0, pace="even", scores_folder=folder)
    return replace(work, **changes)


def run(work: TrialWork, config: dict[str, Any], caches: list[dict[Any, Any]] | None = None) -> TrialOutcome:
    trial = Trial(work, 1, config, caches if caches is not None else [{} for _ in work.parts])
    return trial.run(lambda _rung, _score: None)


def row(number: int, status: str = "COMPLETE", **values: float) -> TrialRow:
    return TrialRow(number=number, status=status, origin="search", params={"n": number}, values=values)


def test_a_journal_is_read_back_without_the_line_that_a_dying_process_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "one")
    journal.write(row(0, "RUNNING"))
    journal.write(row(0, roc_auc=0.7))
    journal.write(row(1, "RUNNING"))
    with (tmp_path / JOURNAL_FILE).open("a") as file:
        file.write('{"number": 2, "sta')

    again = Journal(tmp_path, "one")
    assert {number: found.status for number, found in again.rows.items()} == {0: "COMPLETE", 1: "RUNNING"}
    again.write(row(1, roc_auc=0.8))
    assert Journal(tmp_path, "one").rows[1].values == {"roc_auc": 0.8}


def test_the_journal_of_another_study_is_not_taken_over(tmp_path: Path) -> None:
    Journal(tmp_path, "one").write(row(0, roc_auc=0.7))

    assert Journal(tmp_path, "two").rows == {}
    assert Journal(tmp_path, "two").rows == {}


def test_a_resumed_ledger_runs_again_what_was_running() -> None:
    ledger = Ledger(GOAL, Forecasts(Space({}, {}), GOAL))
    ledger.resume({0: row(0, roc_auc=0.7), 1: row(1, "RUNNING"), 2: row(2, "FAILED")})

    assert [entry[0] for entry in ledger.first] == [1]
    assert ledger.begun == 3
    assert ledger.best().number == 0


def test_findings_become_rows() -> None:
    ledger = Ledger(GOAL, Forecasts(Space({}, {}), GOAL))
    for number in range(4):
        ledger.begin(number, {}, "search")

    complete = ledger.end(0, TrialOutcome({"roc_auc": 0.7}, {}, [], None, 0.0))
    undefined = ledger.end(1, TrialOutcome({"accuracy": 0.7}, {}, [], None, 0.0))
    stopped = ledger.end(2, Progress([(3, 0.6)], "validation/log_loss", 2))
    failed = ledger.end(3, Failure("no memory"))

    assert [found.status for found in (complete, undefined, stopped, failed)] == [
        "COMPLETE",
        "FAILED",
        "STOPPED",
        "FAILED",
    ]
    assert "roc_auc is not defined" in str(undefined.error)
    assert stopped.facts == {"milestone": 2.0}
    assert failed.error == "no memory"
    assert ledger.best() == complete


def test_milestones_are_the_same_rounds_whatever_the_learning_rate() -> None:
    def reached(rate: float, pace: Any = "geometric") -> list[int]:
        at: list[int] = []
        milestones = Milestones.of(
            XGBoostSpec(params={"learning_rate": rate}), lambda _rung, _score: at.append(step), pace
        )
        for step in range(1, 401):
            milestones(step, {"validation/log_loss": 1.0 / step})
        return at

    assert reached(0.1) == [16, 32, 64, 128, 256]
    assert reached(0.01) == reached(0.1)
    assert reached(0.1, "even")[:3] == [16, 32, 48]


def test_a_score_is_the_best_so_far_and_more_is_better() -> None:
    scores: list[float] = []
    milestones = Milestones.of(TorchSpec(), lambda _rung, score: scores.append(score), "even")
    for step, loss in enumerate([0.5, 0.4, 0.6, 0.7], start=1):
        milestones(step, {"train/loss": 0.0, "validation/log_loss": loss})

    assert scores == [-0.4, -0.4]
    assert milestones.curve() == [(1, 0.5), (2, 0.4), (3, 0.6), (4, 0.7)]


@pytest.mark.parametrize(
    ("stop", "values", "reason"),
    [
        (StopSpec(target=0.8), [0.7, 0.81], "target"),
        (StopSpec(target=0.9), [0.7, 0.81], None),
        (StopSpec(patience=2), [0.8, 0.7, 0.8], "patience"),
        (StopSpec(patience=2), [0.8, 0.7, 0.81], None),
        (StopSpec(patience=2, min_gain=0.02), [0.8, 0.7, 0.81], "patience"),
    ],
)
def test_a_search_ends_when_it_has_seen_enough(stop: StopSpec, values: list[float], reason: str | None) -> None:
    rule = StopRule(stop, GOAL)
    for number, value in enumerate(values):
        rule.learn(row(number, roc_auc=value))

    assert (rule.reason() or "").split(":")[0] == (reason or "")


@pytest.mark.parametrize(
    "model",
    [XGBoostSpec(), SklearnSpec(estimator="hist_gradient_boosting"), SklearnSpec(estimator="logistic_regression")],
    ids=["xgboost", "hist", "linear"],
)
def test_what_fits_share_changes_no_digit(model: Any, tmp_path: Path) -> None:
    config = {"learning_rate": 0.1} if model.family == "xgboost" else {}
    other = {"max_depth": 3} if model.family == "xgboost" else {}
    work = work_of(model, tmp_path)
    caches: list[dict[Any, Any]] = [{}]
    run(work, other, caches)

    def without_times(outcome: TrialOutcome) -> dict[str, float]:
        return {name: value for name, value in outcome.values.items() if name != "fit_s"}

    assert without_times(run(work, config, caches)) == without_times(run(work, config))
    assert caches[0]


def test_a_trial_says_how_it_does_and_leaves_its_scores(tmp_path: Path) -> None:
    work = work_of(XGBoostSpec(), tmp_path, goal=Goal(("roc_auc", "predict_ms")))
    reports: list[tuple[int, float]] = []

    outcome = Trial(work, 7, {"learning_rate": 0.1}, [{}]).run(lambda rung, score: reports.append((rung, score)))

    assert [rung for rung, _ in reports][:2] == [1, 2]
    assert outcome.score >= reports[-1][1]
    assert outcome.values["predict_ms"] > 0
    assert outcome.values["fit_s"] > 0
    assert np.load(work.scores_file(7)).shape == (120, 2)
    assert outcome.curve_metric == "validation/log_loss"


def test_folds_hold_out_each_row_once_and_say_how_they_do(tmp_path: Path) -> None:
    rows = rows_of(200, 3)
    parts = fold_data(FitData(SCHEMA, rows, None), 4, seed=0)
    work = work_of(SklearnSpec(estimator="logistic_regression"), tmp_path, parts=parts, pace="geometric")
    reports: list[tuple[int, float]] = []

    outcome = Trial(work, 0, {}, [{} for _ in parts]).run(lambda rung, score: reports.append((rung, score)))

    held = np.concatenate([part.validation.frame["x"] for part in parts])
    assert sorted(held) == sorted(rows.frame["x"])
    assert [rung for rung, _ in reports] == [1, 2, 3]
    assert outcome.curve[-1][1] == pytest.approx(outcome.values["roc_auc"])
    noise = objective_noise(parts, np.load(work.scores_file(0)), "roc_auc", seed=0)
    assert 0.005 < noise < 0.2


@pytest.mark.parametrize("kind", ["groups", "times", "groups over time"])
def test_the_folds_of_a_search_obey_the_split_of_the_job(kind: str) -> None:
    train, validation = rows_of(300, 0), rows_of(100, 1)
    groups, times = np.arange(400) // 5, np.arange(400) * 10.0
    structure = Structure(
        groups=groups if "groups" in kind else None, times=times if "time" in kind else None, gap=200.0
    )
    place = {value: number for number, value in enumerate([*train.frame["x"], *validation.frame["x"]])}
    parts = fold_data(FitData(SCHEMA, train, validation, structure), 4, seed=0)
    assert len(parts) == 4
    for part in parts:
        learnt, held = (np.array([place[x] for x in rows.frame["x"]]) for rows in (part.train, part.validation))
        if "groups" in kind:
            assert not set(groups[learnt]) & set(groups[held])
            inner = part.structure.groups
            assert inner.tolist() == groups[np.concatenate([learnt, held])].tolist()
        if "time" in kind:
            assert times[held].min() - times[learnt].max() >= 200


def test_a_refit_has_as_many_rounds_as_were_best(tmp_path: Path) -> None:
    for model, name in ((XGBoostSpec(), "n_estimators"), (SklearnSpec(), "max_iter")):
        outcome = run(work_of(model, tmp_path), {})
        fixed = family_of(model).without_early_stopping(model, outcome.facts)
        data = FitData(SCHEMA, rows_of(420, 5), None)

        fitted = family_of(model).fit(fixed, data, FitContext())

        kept = outcome.facts.get("best_iteration", outcome.facts.get("iterations", 0) - 1) + 1
        assert fixed.params[name] == kept
        assert fitted.facts.get("rounds", fitted.facts.get("iterations")) == kept
    assert family_of(TorchSpec()).without_early_stopping(TorchSpec(), {"best_epoch": 7.0}).params == {
        "max_epochs": 7, "patience": 0,
    }  # fmt: skip
    mlp = TorchSpec(architecture="mlp")
    assert family_of(mlp).without_early_stopping(mlp, {"best_epoch": 7.0}) == mlp


def test_a_configuration_that_cannot_be_fitted_is_an_error_of_the_family(tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise FitError("diverged")

    with pytest.raises(FitError, match="diverged"):
        run(work_of(XGBoostSpec(), tmp_path, fit=broken), {})
