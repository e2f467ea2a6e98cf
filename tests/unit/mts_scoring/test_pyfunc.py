"""A registered model brings its own code: it loads by MLflow alone, and two versions of the code share a process."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

import training.mts_scoring
from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring import packaging
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import HybridSpec, ModelSpec, SklearnSpec, XGBoostSpec

KINDS = {
    "amount": "numeric", "count": "numeric", "purpose": "categorical", "code": "categorical", "flag": "boolean",
    "since": "datetime",
}  # fmt: skip
SPECS: dict[str, ModelSpec] = {
    "xgboost": XGBoostSpec(params={"n_estimators": 20}),
    "sklearn": SklearnSpec(params={"max_iter": 20}),
}
SPECS |= {"stack": HybridSpec(members=list(SPECS.values()), params={"n_folds": 2})}


def frame_of(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    return pd.DataFrame(
        {
            "amount": rng.normal(size=rows),
            "count": rng.integers(0, 9, rows),
            "purpose": rng.choice(["car", "house"], rows),
            "code": rng.integers(0, 3, rows),
            "flag": rng.random(rows) < 0.5,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 999, rows), unit="h"),
        }
    )


def scoring_model(spec: ModelSpec) -> ScoringModel:
    frame = frame_of(200)
    schema = TableSchema(
        tuple(Column(n, k, "feature", 0, 2) for n, k in KINDS.items()), "t", "binary", ("bad", "good"), ()
    )
    rows = Rows(frame, (frame["amount"] > 0).to_numpy(np.int64), None)
    fitted = family_of(spec).fit(spec, FitData(schema, rows, None), FitContext())
    return ScoringModel(fitted.predictor, "binary", schema.classes, tuple(Feature(*i) for i in KINDS.items()), "t", 0.5)


def save(model: ScoringModel, path: Path, packaging: ModuleType = packaging) -> None:
    """As the registry does; what it was made from is gone afterwards."""
    any_type = [ColSpec(AnyType(), name) for name in KINDS]
    signature = ModelSignature(Schema(any_type), Schema([ColSpec(DataType.double, name) for name in model.classes]))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        script, package = packaging.package_copy(Path(folder))
        mlflow.pyfunc.save_model(
            path=path,
            python_model=str(script),
            code_paths=[str(package)],
            artifacts={"model": str(Path(folder) / "model")},
            pip_requirements=list(model.requirements),
            signature=signature,
            input_example=frame_of(3),
        )


@pytest.fixture(scope="module", params=list(SPECS))
def registered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScoringModel, Path]:
    model, path = scoring_model(SPECS[request.param]), tmp_path_factory.mktemp("models") / request.param
    save(model, path)
    return model, path


def test_scores_raw_rows_as_the_trained_model_did(registered: tuple[ScoringModel, Path]) -> None:
    model, path = registered
    pd.testing.assert_frame_equal(
        mlflow.pyfunc.load_model(str(path)).predict(frame_of(50)), model.predict(frame_of(50))
    )


@pytest.mark.parametrize(
    "altered",
    [
        {"amount": [1, 2]},
        {"amount": [None, None]},
        {"amount": pd.array([1, None], dtype="Int64")},
        {"count": [1.0, None]},
        {"purpose": [None, "never seen"]},
        {"purpose": pd.Series(["car", None], dtype="category")},
        {"code": ["1", "2"]},
        {"code": [1.0, None]},
        {"flag": [True, None]},
        {"since": ["2024-02-01", None]},
        {"since": pd.to_datetime(["2024-02-01", None], utc=True)},
    ],
    ids=" ".join,
)
def test_the_signature_lets_through_what_the_model_can_read(
    registered: tuple[ScoringModel, Path], altered: dict[str, object]
) -> None:
    model, path = registered
    frame = frame_of(2).assign(**altered)
    pd.testing.assert_frame_equal(mlflow.pyfunc.load_model(str(path)).predict(frame), model.predict(frame))


@pytest.mark.slow
def test_loads_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """One process, two models of the same code; the second needs modules that the first did not, which is gone."""
    models = {name: scoring_model(spec) for name, spec in SPECS.items()}
    for name, model in models.items():
        save(model, tmp_path / name)
    frame_of(20).to_parquet(tmp_path / "rows.parquet")
    code = f"""
import sys
sys.path.append({sysconfig.get_path("purelib")!r})  # without its .pth files, of which one makes the project importable
import importlib.util
assert importlib.util.find_spec("training") is None
import shutil, mlflow.pyfunc, pandas
rows = pandas.read_parquet("rows.parquet")
for name in {list(models)!r}:
    mlflow.pyfunc.load_model(name).predict(rows).to_parquet(name + ".parquet")
    shutil.rmtree(name)
"""
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd=tmp_path)
    for name, model in models.items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), model.predict(frame_of(20)))


def other_packaging(folder: Path) -> ModuleType:
    """The packaging of another version of this project, whose models answer percentages."""
    source = folder / "other_scoring"
    shutil.copytree(Path(training.mts_scoring.__path__[0]), source, ignore=shutil.ignore_patterns("__pycache__"))
    script = (source / "pyfunc.py").read_text()
    (source / "pyfunc.py").write_text(script.replace("return self.model.predict", "return 100 * self.model.predict"))
    spec = importlib.util.spec_from_file_location("other_packaging", source / "packaging.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_versions_of_the_code_live_in_one_process(tmp_path: Path) -> None:
    model, other = scoring_model(SPECS["xgboost"]), other_packaging(tmp_path)
    assert other.package_name() != packaging.package_name()
    save(model, tmp_path / "ours")
    save(model, tmp_path / "other", other)
    ours, theirs = (mlflow.pyfunc.load_model(str(tmp_path / name)) for name in ("ours", "other"))
    expected = model.predict(frame_of(5))
    pd.testing.assert_frame_equal(theirs.predict(frame_of(5)), 100 * expected)
    pd.testing.assert_frame_equal(ours.predict(frame_of(5)), expected)
