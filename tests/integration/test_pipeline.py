"""The pipeline on real data, with a real registry, with no service around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from training.data import DataAccess
from training.errors import DataError, JobCancelledError, SpecError
from training.events import PHASES, Phase, SilentObserver
from training.pipeline import Workplace, evaluate_model, plan, registered, run
from training.registry import Registry
from training.registry.files import REPORT_JSON, REPORT_PAGE
from training.spec import EvaluateSpec, TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "data"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("workplace")
    return Workplace(
        DataAccess(roots=(str(EXAMPLES), str(folder)), base=ROOT),
        Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")),
    )


def spec_of(name: str, **changes: Any) -> TrainSpec:
    data = {
        "german": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
        "cancer": {"source": {"type": "file", "uri": "examples/data/breast_cancer.csv"}, "target": "diagnosis"},
        "diabetes": {"source": {"type": "file", "uri": "examples/data/diabetes.csv"}, "target": "progression"},
    }
    source = next(value for key, value in data.items() if name.startswith(key))
    extra = changes.pop("data", {})
    return parse_spec(TrainSpec, {"name": name, "data": source | extra} | changes)


class Recorder(SilentObserver):
    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.lines: list[str] = []

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def log(self, message: str) -> None:
        self.lines.append(message)


@pytest.mark.parametrize(
    ("name", "model", "primary", "floor"),
    [
        ("german-xgb", {"family": "xgboost"}, "roc_auc", 0.70),
        ("german-linear", {"family": "sklearn", "estimator": "logistic_regression"}, "roc_auc", 0.70),
        ("german-forest", {"family": "sklearn", "estimator": "random_forest"}, "roc_auc", 0.70),
        ("cancer-hist", {"family": "sklearn", "estimator": "hist_gradient_boosting"}, "roc_auc", 0.93),
        ("diabetes-ridge", {"family": "sklearn", "estimator": "ridge"}, "rmse", None),
        ("diabetes-xgb", {"family": "xgboost"}, "rmse", None),
    ],
)
def test_a_spec_becomes_a_registered_champion(
    workplace: Workplace, name: str, model: dict[str, Any], primary: str, floor: float | None
) -> None:
    recorder = Recorder()
    result = run(spec_of(name, model=model), workplace, recorder, job_id=f"job_{name}")

    assert recorder.phases == list(PHASES)
    assert result.primary_metric == primary
    interval = result.metrics[primary]
    assert interval.low < interval.value < interval.high
    if floor is not None:
        assert interval.value > floor
    else:
        assert result.metrics["r2"].value > 0.2
    assert result.gate.decision == "promote"
    assert workplace.registry.resolve(name).version == result.model.version
    rows = result.data
    assert rows.train_rows + rows.validation_rows + rows.test_rows == rows.rows
    assert {f"{phase}_s" for phase in PHASES} <= set(result.timings)


@pytest.mark.slow
def test_folds_measure_the_whole_job_beside_its_hold_out(workplace: Workplace) -> None:
    split = {"folds": 3, "repeats": 2}
    plain = run(spec_of("german-fold-none"), workplace, SilentObserver(), job_id="job_fold_none")
    result = run(spec_of("german-fold-six", split=split), workplace, SilentObserver(), job_id="job_fold_six")

    assert result.metrics == plain.metrics  # neither the model nor its test rows are touched
    found = result.cross_validation
    assert [(row.repeat, row.fold) for row in found.rows] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert all(row.train_rows + row.validation_rows + row.test_rows == 800 for row in found.rows)
    assert set(found.metrics) == set(result.metrics)
    means = [row.metrics["roc_auc"] for row in found.rows]
    assert found.metrics["roc_auc"].value == pytest.approx(np.mean(means))
    assert 0.7 < found.metrics["roc_auc"].low < found.metrics["roc_auc"].high < 0.9
    logged = MlflowClient(workplace.registry.tracking_uri).get_run(result.run_id).data.metrics
    assert logged["cv/roc_auc"] == pytest.approx(found.metrics["roc_auc"].value)


def test_the_same_spec_gives_the_same_figures_and_no_new_champion(workplace: Workplace) -> None:
    first = run(spec_of("german-twice"), workplace, SilentObserver(), job_id="job_first")
    second = run(spec_of("german-twice"), workplace, SilentObserver(), job_id="job_second")

    assert second.metrics == first.metrics
    assert second.data == first.data
    assert second.model.version != first.model.version
    assert second.gate.decision == "keep"
    assert workplace.registry.resolve("german-twice").version == first.model.version


def test_rows_inline_and_in_a_file_give_the_same_model(workplace: Workplace) -> None:
    rows = json.loads(pd.read_csv(EXAMPLES / "german_credit.csv").to_json(orient="records"))
    inline = spec_of("german-inline", data={"source": {"type": "inline", "rows": rows}})

    by_value = run(inline, workplace, SilentObserver(), job_id="job_inline")
    by_file = run(spec_of("german-file"), workplace, SilentObserver(), job_id="job_file")

    assert by_value.metrics == by_file.metrics
    assert by_value.data.sha256 == by_file.data.sha256


def test_a_job_that_runs_twice_registers_once(workplace: Workplace) -> None:
    first = run(spec_of("german-again"), workplace, SilentObserver(), job_id="job_same")
    again = run(spec_of("german-again"), workplace, SilentObserver(), job_id="job_same")

    assert again.model == first.model
    found = registered("german-again", "job_same", workplace)  # what an attempt asks that comes after one that died
    assert found is not None
    assert found == first.model_copy(update={"timings": found.timings})
    assert registered("german-again", "job_other", workplace) is None


def test_an_attempt_that_was_superseded_registers_nothing(workplace: Workplace) -> None:
    def superseded() -> None:
        raise JobCancelledError("another attempt of the job runs")

    with pytest.raises(JobCancelledError):
        run(spec_of("german-fenced"), workplace, SilentObserver(), job_id="job_fenced", commit=superseded)

    assert workplace.registry.find_by_job("german-fenced", "job_fenced") is None


def test_a_wish_to_stop_that_comes_while_the_version_is_registered_comes_too_late(workplace: Workplace) -> None:
    class AskedToStop(SilentObserver):
        def __init__(self) -> None:
            self.stop = False

        def waiting(self, message: str) -> None:
            if self.stop:
                raise JobCancelledError("the job was asked to stop")

        def ask(self) -> None:
            self.stop = True

    observer = AskedToStop()
    result = run(spec_of("german-late"), workplace, observer, job_id="job_late", commit=observer.ask)
    assert workplace.registry.find_by_job("german-late", "job_late") == result.model


def test_evaluate_measures_a_version_on_other_rows(workplace: Workplace) -> None:
    trained = run(spec_of("german-eval"), workplace, SilentObserver(), job_id="job_eval")
    spec = parse_spec(
        EvaluateSpec,
        {
            "model": {"name": "german-eval", "alias": "champion"},
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}},
            "slices": ["housing"],
        },
    )
    report = evaluate_model(spec, workplace, SilentObserver())

    assert report.rows == trained.data.rows
    assert report.metrics["roc_auc"].value > trained.metrics["roc_auc"].value  # it has seen most of these rows
    assert {row.value for row in report.slices} >= {"own", "rent"}
    fitted_on = trained.data.train_rows + trained.data.validation_rows
    [warning] = [text for text in report.warnings if "was fitted on" in text]
    assert warning.startswith(f"{fitted_on} of {report.rows:,} rows are among those that version 1 was fitted on")


def test_rows_without_the_target_are_refused_by_its_name(workplace: Workplace) -> None:
    run(spec_of("german-blind"), workplace, SilentObserver(), job_id="job_blind")
    rows = json.loads(
        pd.read_csv(EXAMPLES / "german_credit.csv").drop(columns="creditability").to_json(orient="records")
    )
    data = {"source": {"type": "inline", "rows": rows}}
    spec = parse_spec(EvaluateSpec, {"model": {"name": "german-blind"}, "data": data})
    with pytest.raises(SpecError, match="no column 'creditability', the target of the model"):
        evaluate_model(spec, workplace, SilentObserver())


@pytest.mark.parametrize("strategy", ["stratified", "time"])
def test_the_report_says_whether_more_rows_would_help(workplace: Workplace, strategy: str) -> None:
    name = f"german-curve-{strategy}"
    spec = parse_spec(TrainSpec, {
        "name": name, "evaluation": {"learning_curve": True, "bootstrap_samples": 0, "explain": False},
        "split": {"strategy": strategy}, "model": {"family": "xgboost", "params": {"n_estimators": 20}},
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability",
                 "time_column": "duration_in_month" if strategy == "time" else None},
    })  # fmt: skip
    trained = run(spec, workplace, SilentObserver(), job_id=f"job_curve_{strategy}")
    info = workplace.registry.resolve(name, version=trained.model.version)
    report = json.loads(workplace.registry.read_file(info, REPORT_JSON))
    points = report["learning_curve"]
    assert [point["rows"] for point in points] == [
        round(share * trained.data.train_rows) for share in (0.1, 0.2, 0.4, 0.7, 1)
    ]
    assert points[-1]["test"] == trained.metrics["roc_auc"].value
    assert points[0]["train"] > points[0]["test"]
    assert "Learning curve" in workplace.registry.read_file(info, REPORT_PAGE).decode()


def test_a_threshold_of_the_callers_decides(workplace: Workplace) -> None:
    run(spec_of("german-cut"), workplace, SilentObserver(), job_id="job_cut")
    raw = {"model": {"name": "german-cut"}, "bootstrap_samples": 0,
           "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}}}  # fmt: skip
    default, low = (
        evaluate_model(parse_spec(EvaluateSpec, raw | extra), workplace, SilentObserver())
        for extra in ({}, {"threshold": 0.0})
    )
    assert (default.threshold, low.threshold) == (0.5, 0.0)
    assert low.metrics["accuracy"].value == pytest.approx(0.3)  # everybody is decided bad
    assert low.metrics["roc_auc"] == default.metrics["roc_auc"]


def test_only_a_binary_model_takes_a_threshold(workplace: Workplace) -> None:
    run(spec_of("diabetes-cut"), workplace, SilentObserver(), job_id="job_dcut")
    data = {"source": {"type": "file", "uri": "examples/data/diabetes.csv"}}
    spec = parse_spec(EvaluateSpec, {"model": {"name": "diabetes-cut"}, "data": data, "threshold": 0.3})
    with pytest.raises(SpecError, match="only a binary model"):
        evaluate_model(spec, workplace, SilentObserver())


def test_rows_of_one_class_have_the_metrics_that_are_defined(workplace: Workplace) -> None:
    run(spec_of("german-one"), workplace, SilentObserver(), job_id="job_one")
    rows = json.loads(pd.read_csv(EXAMPLES / "german_credit.csv").query("creditability == 'bad'").to_json(
        orient="records"))  # fmt: skip
    data = {"source": {"type": "inline", "rows": rows}}
    spec = parse_spec(EvaluateSpec, {"model": {"name": "german-one"}, "data": data, "bootstrap_samples": 10})
    report = evaluate_model(spec, workplace, SilentObserver())
    assert report.metrics["roc_auc"].value is None
    assert 0 < report.metrics["accuracy"].value < 1


def test_labels_that_were_never_seen_are_named(workplace: Workplace) -> None:
    run(spec_of("german-new"), workplace, SilentObserver(), job_id="job_new")
    frame = pd.read_csv(EXAMPLES / "german_credit.csv").head(50)
    frame.loc[3, "creditability"] = "baad"
    data = {"source": {"type": "inline", "rows": json.loads(frame.to_json(orient="records"))}}
    spec = parse_spec(EvaluateSpec, {"model": {"name": "german-new"}, "data": data})
    with pytest.raises(DataError, match="baad; nearest: bad"):
        evaluate_model(spec, workplace, SilentObserver())


def test_rows_without_a_column_of_the_model_are_refused(workplace: Workplace) -> None:
    run(spec_of("german-narrow"), workplace, SilentObserver(), job_id="job_narrow")
    rows = json.loads(pd.read_csv(EXAMPLES / "german_credit.csv").drop(columns="housing").to_json(orient="records"))
    data = {"source": {"type": "inline", "rows": rows}}
    spec = parse_spec(EvaluateSpec, {"model": {"name": "german-narrow"}, "data": data})

    with pytest.raises(DataError, match="housing"):
        evaluate_model(spec, workplace, SilentObserver())


def test_a_plan_says_what_would_happen(workplace: Workplace) -> None:
    answer = plan(spec_of("german-plan"), workplace)

    assert (answer.task, answer.engine) == ("binary", "local")
    assert answer.data.train_rows + answer.data.validation_rows + answer.data.test_rows == 1000
    assert answer.classes == ["good", "bad"]
    assert answer.spec["split"]["test_size"] == 0.2


def test_slices_and_a_cost_matrix_reach_the_result(workplace: Workplace) -> None:
    costs = {"bad": {"good": 5.0, "bad": 0.0}, "good": {"good": 0.0, "bad": 1.0}}
    spec = spec_of("german-costs", evaluation={"slices": ["housing"], "cost_matrix": costs})
    result = run(spec, workplace, SilentObserver(), job_id="job_costs")

    assert result.threshold is not None
    assert 0 < result.threshold < 0.5  # to miss a bad one costs five times as much
    assert {row.column for row in result.slices} == {"housing"}


QUICK_TREES = {"family": "xgboost", "params": {"n_estimators": 40, "learning_rate": 0.1}}


def test_a_hybrid_stands_beside_its_parents_and_says_whether_it_earns_its_place(workplace: Workplace) -> None:
    members = [QUICK_TREES, {"family": "sklearn", "estimator": "logistic_regression"}]
    model = {"family": "hybrid", "strategy": "stack", "members": members, "params": {"n_folds": 3}}
    result = run(spec_of("german-stack", model=model), workplace, SilentObserver(), job_id="job_stack")

    hybrid, *parents = result.leaderboard
    assert hybrid.model == "hybrid: stack"
    assert {row.model for row in parents} == {"xgboost", "logistic_regression"}
    best = parents[0]
    assert best.gain is not None
    assert best.gain.value == pytest.approx(hybrid.validation["roc_auc"] - best.validation["roc_auc"], abs=1e-9)
    earned = best.gain.low is not None and best.gain.low > 0
    assert earned != any("has not earned its place" in note for note in result.notes)
    assert result.calibration is not None
    assert result.calibration.rows == result.data.train_rows + result.data.validation_rows
    rows = pd.read_csv(EXAMPLES / "german_credit.csv")
    loaded = workplace.registry.load(workplace.registry.resolve("german-stack"))
    assert loaded.predict(rows)["bad"].between(0, 1).all()


def test_a_budget_too_short_for_anything_registers_the_best_constant_with_a_warning(workplace: Workplace) -> None:
    spec = spec_of("german-auto", model={"family": "auto", "time_budget_s": 0.001})
    result = run(spec, workplace, SilentObserver(), job_id="job_auto")

    assert result.metrics["roc_auc"].value == 0.5
    assert any("no model could be fitted" in note for note in result.notes)
    assert {"xgboost", "tabm", "linear"} <= {row.model for row in result.leaderboard if row.error}


def test_prediction_intervals_are_answered_and_measured(workplace: Workplace) -> None:
    wanted = {"prediction_interval": 0.8}
    spec = spec_of("diabetes-interval", model=QUICK_TREES, evaluation=wanted)
    result = run(spec, workplace, SilentObserver(), job_id="job_interval")

    assert result.prediction_interval is not None
    assert result.prediction_interval.test_coverage == pytest.approx(0.8, abs=0.15)
    model = workplace.registry.load(workplace.registry.resolve("diabetes-interval"))
    answer = model.predict(pd.read_csv(EXAMPLES / "diabetes.csv"))
    assert list(answer.columns) == ["prediction", "low", "high"]
    np.testing.assert_allclose(answer["high"] - answer["low"], result.prediction_interval.width)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"data": {"target": "creditabilty"}}, "data.target", "nearest: creditability"),
        ({"data": {"source": {"type": "file", "uri": "examples/data/german.csv"}}}, "data.source.uri", "german_credit"),
        ({"data": {"source": {"type": "file", "uri": "/etc/passwd"}}}, "data.source.uri", "root"),
        ({"model": {"family": "xgboost", "params": {"max_dept": 3}}}, "model.params.max_dept", "max_depth"),
        ({"split": {"strategy": "time"}}, "data.time_column", "time"),
        ({"model": {"family": "hybrid", "members": [{"family": "xgboost"}]}}, "model.members", "two members"),
        ({"model": {"family": "auto", "params": {"exclude": ["tabmm"]}}}, "model.params.exclude.0", "tabm"),
        ({"evaluation": {"prediction_interval": 0.9}}, "evaluation.prediction_interval", "regression"),
        ({"evaluation": {"metrics": ["rmse"]}}, "evaluation.metrics", "binary"),
        ({"evaluation": {"slices": ["hosing"]}}, "evaluation.slices", "housing"),
    ],
)
def test_what_cannot_work_is_named_before_anything_is_fitted(
    workplace: Workplace, changes: dict[str, Any], field: str, words: str
) -> None:
    for attempt in (
        lambda spec: plan(spec, workplace),
        lambda spec: run(spec, workplace, SilentObserver(), job_id="job_bad"),
    ):
        with pytest.raises((SpecError, DataError)) as caught:
            attempt(spec_of("german-bad", **changes))
        assert caught.value.problems[0].field == field
        assert words in str(caught.value) + caught.value.hint
    assert workplace.registry.find_by_job("german-bad", "job_bad") is None


def test_a_time_budget_ends_the_fit_with_the_best_so_far(workplace: Workplace) -> None:
    recorder = Recorder()
    spec = spec_of("german-hasty", time_budget_s=1e-6, model={"family": "sklearn", "estimator": "random_forest"})
    result = run(spec, workplace, recorder, job_id="job_hasty")

    assert any("time budget" in line for line in recorder.lines)
    assert result.metrics["roc_auc"].value > 0.6


def test_the_batch_command_gives_the_same_model(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(spec_of("german-batch").model_dump_json())
    answer = subprocess.run(
        [sys.executable, "-m", "training", "run", str(tmp_path / "spec.json"), "--home", str(tmp_path), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    here = run(spec_of("german-here"), workplace, SilentObserver(), job_id="job_here")
    there = json.loads(answer.stdout)

    assert there["metrics"] == {name: value.model_dump() for name, value in here.metrics.items()}
    assert there["data"]["sha256"] == here.data.sha256


def test_the_batch_command_names_a_bad_field_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("name: x\ndata: {source: {type: file, uri: a.csv}, traget: y}\n")
    answer = subprocess.run(
        [sys.executable, "-m", "training", "run", str(tmp_path / "spec.yaml"), "--home", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "data.traget" in answer.stderr
    assert "nearest: target" in answer.stderr
    assert "Traceback" not in answer.stderr
