"""Tables that are hard to learn from, through the whole pipeline: it ends, tells what is odd, the version answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from family_specs import ABSURD_NETWORK

from training.data import DataAccess
from training.errors import FitError
from training.events import SilentObserver
from training.mts_scoring.model import InputError
from training.pipeline import Workplace, run
from training.registry import Registry
from training.registry.files import REPORT_JSON
from training.result import TrainResult
from training.spec import TrainSpec, parse_spec

NET = {"family": "torch", "architecture": "tabm", "params": {"k": 4, "d_block": 16, "max_epochs": 8}}
TREES = {"family": "xgboost", "params": {"n_estimators": 30, "learning_rate": 0.2}}
LEFT_OUT = ["tabm", "mlp", "extra_trees", "hist_gradient_boosting", "xgboost_shallow"]
MODELS: dict[str, dict[str, Any]] = {
    "xgboost": TREES,
    "forest": {"family": "sklearn", "estimator": "random_forest", "params": {"n_estimators": 20}},
    "tabm": NET,
    "stack": {"family": "hybrid", "members": [TREES, NET], "params": {"n_folds": 2}},
    "auto": {"family": "auto", "time_budget_s": 120, "params": {"n_folds": 2, "max_repeats": 0, "exclude": LEFT_OUT}},
}
every_model = pytest.mark.parametrize("model", MODELS)
ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@pytest.fixture(scope="module")
def workplace(folder: Path) -> Workplace:
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    return Workplace(DataAccess((str(folder),), folder), registry)


def table(rows: int = ROWS, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=rows), rng.choice(["car", "house", "boat"], rows)
    y = np.where(x + (kind == "car") + rng.normal(size=rows) > 0.4, "yes", "no")
    return pd.DataFrame({"x": x, "count": rng.integers(0, 50, rows), "kind": kind, "y": y}).assign(**columns)


def valued() -> pd.DataFrame:
    frame = table()
    return frame.assign(y=10 + frame["x"] + 0.5 * np.random.default_rng(1).normal(size=ROWS))


def trained(workplace: Workplace, frame: pd.DataFrame, name: str, model: dict[str, Any], **data: Any) -> TrainResult:
    file = workplace.access.base / f"{name}.parquet"
    frame.to_parquet(file)
    spec = {
        "name": name, "model": model, "evaluation": {"bootstrap_samples": 20, "explain": False},
        "data": {"source": {"type": "file", "uri": str(file)}, "target": "y", **data},
    }  # fmt: skip
    return run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id=f"job_{name}")


def registered(workplace: Workplace, name: str) -> Any:
    return workplace.registry.load(workplace.registry.resolve(name))


def report_of(workplace: Workplace, name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(workplace.registry.read_file(workplace.registry.resolve(name), REPORT_JSON))
    return report


@every_model
def test_a_target_with_outliers_is_told_in_the_result_and_the_report(workplace: Workplace, model: str) -> None:
    frame = table()
    target = 10 + frame["x"] + np.random.default_rng(1).normal(size=ROWS)
    target[::80] *= 1000
    result = trained(workplace, frame.assign(y=target), f"outliers-{model}", MODELS[model])
    assert np.isfinite(registered(workplace, f"outliers-{model}").predict(frame)["prediction"]).all()
    [warning] = [line for line in result.data.warnings if line.startswith("target_outliers")]
    assert "judge by mae" in warning
    told = {check["name"]: check for check in report_of(workplace, f"outliers-{model}")["checks"]}
    assert not told["data"]["passed"]
    assert "target_outliers" in told["data"]["detail"]


@every_model
def test_columns_without_content_are_left_out_and_not_asked_for(workplace: Workplace, model: str) -> None:
    frame = table(empty=np.nan, blank=None, same=7)
    result = trained(workplace, frame, f"hollow-{model}", MODELS[model])
    told = " ".join(result.data.warnings)
    assert "not used as features (empty): empty" in told
    assert "not used as features (constant): same" in told
    scores = registered(workplace, f"hollow-{model}").predict(frame[["x", "count", "kind"]])
    assert scores["yes"].between(0, 1).all()


@every_model
def test_one_row_per_category_is_left_out_and_if_wanted_harmless(workplace: Workplace, model: str) -> None:
    frame = table(name=[f"person {number}" for number in range(ROWS)])
    plain = trained(workplace, frame, f"names-{model}", MODELS[model])
    assert any("name" in line and "not used as features" in line for line in plain.data.warnings)
    kept = trained(workplace, frame, f"kept-{model}", MODELS[model], include=["x", "count", "kind", "name"])
    assert any(line.startswith("name: kept by data.include") for line in kept.data.warnings)
    strangers = frame.assign(name=[f"stranger {number}" for number in range(ROWS)])
    assert registered(workplace, f"kept-{model}").predict(strangers)["yes"].between(0, 1).all()
    assert kept.metrics["roc_auc"].value > 0.6


@every_model
def test_what_is_odd_at_prediction_is_read_or_named(workplace: Workplace, model: str) -> None:
    frame = table()
    trained(workplace, frame, f"asked-{model}", MODELS[model])
    version = registered(workplace, f"asked-{model}")
    scores = version.predict(frame)
    pd.testing.assert_frame_equal(
        version.predict(frame.assign(new="column")[frame.columns[::-1].insert(0, "new")]), scores
    )
    unseen = version.predict(frame.assign(kind="submarine"))
    assert unseen["yes"].between(0, 1).all()
    assert version.predict(frame.assign(x=np.nan, kind=None))["yes"].between(0, 1).all()
    with pytest.raises(InputError, match="lack: 'kind'; nearest to 'kind': 'kinds'"):
        version.predict(frame.rename(columns={"kind": "kinds"}))
    with pytest.raises(InputError, match=r"column 'x' should hold a number, not 'much' \(str\)"):
        version.predict(frame.assign(x="much"))
    with pytest.raises(InputError, match=r"column 'kind' is categorical; .* is neither text, number nor time"):
        version.predict(frame.assign(kind=[["a", "list"]] * ROWS))


@every_model
def test_twenty_classes_of_few_rows(workplace: Workplace, model: str) -> None:
    rows = 160
    codes = np.arange(rows) % 20
    frame = table(rows, y=[f"c{code:02}" for code in codes])
    frame["x"] = codes + np.random.default_rng(2).normal(size=rows)
    result = trained(workplace, frame, f"twenty-{model}", MODELS[model])
    assert result.task == "multiclass"
    assert any("class_counts" in line for line in result.data.warnings)
    scores = registered(workplace, f"twenty-{model}").predict(frame)
    assert list(scores.columns) == [f"c{code:02}" for code in range(20)]
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-9)


@every_model
def test_one_row_in_a_thousand(workplace: Workplace, model: str) -> None:
    frame = table(6000)
    rare = np.random.default_rng(3).permutation(6000)[:6]
    frame["y"] = np.where(np.isin(np.arange(6000), rare), "fraud", "fine")
    result = trained(workplace, frame, f"rare-{model}", MODELS[model])
    assert any("class fraud has" in line for line in result.data.warnings)
    scores = registered(workplace, f"rare-{model}").predict(frame)
    assert scores["fraud"].mean() < 0.02
    assert result.metrics["log_loss"].value < 0.05


ABSURD = {"family": "torch", "architecture": "tabm", "params": ABSURD_NETWORK}


def test_a_loss_that_is_no_number_names_the_parameter_and_the_remedy(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.models.torch_fitting.RETRY_FACTOR", 1.0)
    frame = valued()
    try:
        result = trained(workplace, frame, "absurd", ABSURD)
    except FitError as error:
        told = f"{error.message}; {error.hint}"
    else:
        told = " ".join(result.notes)
        assert np.isfinite(registered(workplace, "absurd").predict(frame)).all(axis=None)
    assert "the loss became NaN or infinite, with learning_rate 1 and again with 1" in told
    assert "lower model.params.learning_rate" in told


def test_in_a_hybrid_the_rest_goes_on_without_the_net(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.models.torch_fitting.RETRY_FACTOR", 1.0)
    frame = valued()
    model = {"family": "hybrid", "members": [TREES, ABSURD], "params": {"n_folds": 2}}
    result = trained(workplace, frame, "absurd-stack", model)
    told = " ".join([*result.notes, *(row.error or "" for row in result.leaderboard)])
    assert "the loss became NaN or infinite, with learning_rate 1" in told
    assert {row.model for row in result.leaderboard} == {"hybrid: stack", "xgboost", "tabm"}
    assert result.metrics["r2"].value > 0.2
