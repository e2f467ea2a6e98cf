"""Models as ONNX: the scores that onnxruntime gives are those of the model, and what differs is not handed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from training import onnx_check
from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.calibrated_predictor import CalibratedPredictor, Calibration
from training.mts_scoring.constant_predictor import ConstantPredictor
from training.mts_scoring.encoder import TableEncoder
from training.mts_scoring.feature_predictor import FeaturePredictor
from training.mts_scoring.feature_steps import TargetEncoding, with_steps
from training.mts_scoring.model import Feature, ScoringModel
from training.mts_scoring.predictor import Predictor
from training.mts_scoring.registry import PREDICTORS
from training.mts_scoring.sklearn_predictor import SklearnPredictor
from training.registry import onnx_form as module
from training.registry.golden import Golden, golden_rows
from training.registry.onnx_export import NotExpressibleError, exported
from training.registry.onnx_export.graph import FLOAT, Graph
from training.registry.onnx_export.inputs import encoded, raw_inputs
from training.registry.onnx_export.predictors import KINDS as KNOWN
from training.registry.onnx_form import onnx_form
from training.spec import TrainSpec, parse_spec

KINDS = {"amount": "numeric", "rate": "numeric", "city": "categorical", "level": "categorical", "opened": "datetime",
         "owner": "boolean"}  # fmt: skip
FEATURES = tuple(Feature(name, kind) for name, kind in KINDS.items())
CLASSES: dict[str, tuple[str, ...]] = {"binary": ("no", "yes"), "multiclass": ("p", "q", "r"), "regression": ()}
FEW_TREES = {"n_estimators": 8}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Rows of every kind of column, with gaps."""
    generator = np.random.default_rng(0)
    rows = 300
    found = pd.DataFrame({
        "amount": generator.normal(size=rows) * 1000, "rate": generator.normal(size=rows),
        "city": generator.choice(list("abcdefgh"), rows), "level": generator.choice(["x", "y", None], rows),
        "opened": pd.Timestamp("2023-11-03") + pd.to_timedelta(generator.integers(0, 900 * 24, rows), unit="h"),
        "owner": generator.random(rows) < 0.5,
    })  # fmt: skip
    found.loc[::7, "rate"] = np.nan
    found.loc[::11, "opened"] = pd.NaT
    return found


def targets(frame: pd.DataFrame, task: str) -> Any:
    signal = frame["amount"] / 1000 + frame["city"].map(ord) % 3 + frame["owner"] + frame["rate"].fillna(0.5)
    if task == "regression":
        return signal.to_numpy(np.float64) * 1000
    return pd.qcut(signal, len(CLASSES[task]), labels=False).to_numpy(np.int64)


def fitted(frame: pd.DataFrame, task: str, model: dict[str, Any]) -> ScoringModel:
    raw = {"name": "m", "data": {"source": {"type": "file", "uri": "rows.csv"}, "target": "y"}, "model": model}
    spec = parse_spec(TrainSpec, raw)
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in KINDS.items())  # type: ignore[arg-type]  # the kinds are column kinds
    schema = TableSchema(columns, "y", task, CLASSES[task], ())  # type: ignore[arg-type]  # as above
    target = targets(frame, task)
    sides = [
        Rows(frame.iloc[part].reset_index(drop=True), target[part], None) for part in (slice(200), slice(200, 250))
    ]
    family = family_of(spec.model)
    found = family.fit(spec.model, FitData(schema, *sides), FitContext(seed=0, deadline=None))
    return scoring(found.predictor, task)


def scoring(predictor: Predictor, task: str) -> ScoringModel:
    return ScoringModel(predictor, task, CLASSES[task], FEATURES, "y", None)


def formed(model: ScoringModel, frame: pd.DataFrame, folder: Path) -> tuple[module.OnnxForm, Golden]:
    model.save(folder / "model")
    golden = golden_rows(model, frame.iloc[250:].reset_index(drop=True))
    return onnx_form(folder / "model", golden), golden


FOREST = {"family": "sklearn", "estimator": "random_forest", "params": FEW_TREES}
STACK = {"family": "hybrid", "strategy": "stack", "members": [{"family": "xgboost", "params": FEW_TREES}, FOREST]}
ALL = ("binary", "multiclass", "regression")
MLP = {"family": "torch", "architecture": "mlp", "params": {"max_epochs": 1}}
TABM = {"family": "torch", "architecture": "tabm", "params": {"max_epochs": 1}}
RESIDUAL = {"family": "hybrid", "strategy": "residual", "members": [{"family": "xgboost", "params": FEW_TREES}, MLP]}
LEAVES = {**RESIDUAL, "strategy": "leaf_embedding"}
FT = {"family": "torch", "architecture": "ft_transformer", "params": {"max_epochs": 1}}
SLOW_TO_FIT = [
    (STACK, "binary"), (STACK, "regression"), (MLP, "multiclass"), (MLP, "regression"), (TABM, "binary"),
    (RESIDUAL, "binary"), (RESIDUAL, "regression"), (FT, "multiclass"), (LEAVES, "binary"),
]  # fmt: skip
MODELS = [
    *(({"family": "xgboost", "params": FEW_TREES}, task) for task in ALL),
    ({"family": "xgboost", "params": FEW_TREES | {"objective": "count:poisson"}}, "regression"),
    *(({"family": "sklearn", "estimator": "hist_gradient_boosting", "params": {"max_iter": 6}}, task) for task in ALL),
    *((FOREST, task) for task in ALL),
    ({"family": "sklearn", "estimator": "extra_trees", "params": FEW_TREES}, "binary"),
    *(({"family": "sklearn", "estimator": "logistic_regression"}, task) for task in ALL[:2]),
    *(({"family": "sklearn", "estimator": name}, "regression") for name in ("ridge", "elastic_net")),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_TO_FIT),
]


@pytest.mark.parametrize(("model", "task"), MODELS, ids=lambda value: value if isinstance(value, str) else
                         f"{value['family']}-{value.get('estimator') or value.get('architecture', '')}")  # fmt: skip
def test_onnxruntime_gives_the_scores_of_the_model(
    frame: pd.DataFrame, model: dict[str, Any], task: str, tmp_path: Path
) -> None:
    if model.get("params", {}).get("objective") == "count:poisson":
        frame = frame.assign(amount=frame["amount"].abs() + 10_000)
    made = fitted(frame, task, model)
    form, golden = formed(made, frame, tmp_path)
    assert form.content is not None, form.reason
    assert golden.edge_rows >= 4
    assert form.golden is not None
    assert form.edge is not None
    assert max(form.golden, form.edge) <= onnx_check.TOLERANCE
    assert exported(made) == form.content, "the same model gives the same bytes"
    rows = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    session = onnxruntime.InferenceSession(form.content)
    [scores] = session.run(None, onnx_check.onnx_inputs(KINDS, rows))
    expected = made.scores(pd.DataFrame(rows, columns=list(KINDS))).reshape(len(rows), -1)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("calibration", [
    Calibration("temperature", 1.7), Calibration("isotonic", 1.0, (0.1, 0.4, 0.8), (0.05, 0.5, 0.9)),
    Calibration("isotonic", 1.0, (0.5,), (0.3,)),
], ids=["temperature", "isotonic", "one knot"])  # fmt: skip
def test_a_calibrated_model_is_calibrated_in_onnx_too(
    frame: pd.DataFrame, calibration: Calibration, tmp_path: Path
) -> None:
    inner = fitted(frame, "binary", {"family": "sklearn", "estimator": "logistic_regression"}).predictor
    form, _ = formed(scoring(CalibratedPredictor(inner, calibration), "binary"), frame, tmp_path)
    assert form.content is not None, form.reason


def test_columns_that_are_made_of_categories_are_made_in_onnx_too(frame: pd.DataFrame, tmp_path: Path) -> None:
    levels = {"x": [0.25, 1.0], "y": [0.75, 2.0]}
    step = TargetEncoding("level", ["level: mean", "level: other mean"], levels, [0.5, 1.5])
    rows = with_steps(frame, [step])
    features = [*FEATURES, *(Feature(name, "numeric") for name in step.outputs)]
    encoder = TableEncoder.fit(rows, features, style="linear")
    estimator = LogisticRegression().fit(encoder.transform(rows), targets(frame, "binary"))
    inner = SklearnPredictor(encoder, estimator, num_classes=2)
    form, _ = formed(scoring(FeaturePredictor([step], inner), "binary"), frame, tmp_path)
    assert form.content is not None, form.reason


def test_a_constant_model_answers_each_row(frame: pd.DataFrame, tmp_path: Path) -> None:
    form, _ = formed(scoring(ConstantPredictor([0.25, 0.75], num_classes=2), "binary"), frame, tmp_path)
    assert form.content is not None, form.reason


def test_times_of_six_centuries_have_the_calendar_of_the_encoder() -> None:
    generator = np.random.default_rng(0)
    first, last = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("1678-01-01", "2261-12-31"))
    moments = generator.integers(first, last, 5000).astype("datetime64[us]")
    leap_days = np.array(
        ["2000-02-29T23:59:59.999999", "1900-02-28", "1900-03-01", "1970-01-01", "NaT"], "datetime64[us]"
    )
    frame = pd.DataFrame({"t": np.concatenate([leap_days, moments])})
    feature = Feature("t", "datetime")
    encoder = TableEncoder.fit(frame, [feature])
    graph = Graph()
    matrix = graph.cast(encoded(graph, encoder, raw_inputs(graph, (feature,))), FLOAT)
    session = onnxruntime.InferenceSession(graph.model(graph.cast(matrix, 11), len(encoder.names)).SerializeToString())
    [found] = session.run(None, {"t": frame["t"].to_numpy().astype("datetime64[us]").astype(np.int64)[:, None]})
    np.testing.assert_array_equal(found, encoder.transform(frame))


def test_onnx_that_gives_other_scores_is_not_handed_over(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = fitted(frame, "binary", {"family": "sklearn", "estimator": "logistic_regression"})
    _, golden = formed(model, frame, tmp_path)
    outputs = [list(line) for line in golden.outputs]
    outputs[-1][0] += 0.001
    form = onnx_form(tmp_path / "model", golden.model_copy(update={"outputs": outputs}))
    assert form.content is None
    assert form.reason is not None
    assert form.reason.startswith("the parity test failed: the largest difference is ")
    assert "0.001 on edge rows, 1e-05 is allowed" in form.reason


def test_what_has_no_onnx_says_so(frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = frame.assign(level="")
    model = {"family": "sklearn", "estimator": "logistic_regression"}
    form, golden = formed(fitted(rows, "binary", model), rows, tmp_path)
    assert (form.content, form.reason) == (None, "no ONNX: column 'level' has the empty text as a category")
    monkeypatch.setattr(module, "PACKAGES", ("onnx", "a_package_that_is_not_there"))
    assert "extra `onnx` is not installed" in str(onnx_form(tmp_path / "model", golden).reason)


def test_what_onnxruntime_does_not_take_is_told(frame: pd.DataFrame) -> None:
    rows = [{"amount": 1.0}]
    with pytest.raises(onnx_check.OnnxRefusedError):
        onnx_check.differences(b"no model", {"amount": "numeric"}, rows, [[1.0]], 0)


def test_every_kind_of_predictor_has_onnx() -> None:
    assert set(KNOWN) == set(PREDICTORS)


def test_a_kind_of_model_without_onnx_is_named(frame: pd.DataFrame) -> None:
    predictor = ConstantPredictor([0.25, 0.75], num_classes=2)
    predictor.kind = "oracle"
    with pytest.raises(NotExpressibleError, match="a model of the kind oracle"):
        exported(scoring(predictor, "binary"))
