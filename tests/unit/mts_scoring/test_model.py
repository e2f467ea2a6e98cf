"""A model as a folder: what it keeps, and what it refuses to load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression, SGDClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from training.mts_scoring.encoder import TableEncoder
from training.mts_scoring.model import Feature, InputError, ModelFileError, ScoringModel
from training.mts_scoring.registry import PREDICTORS, PredictorTable
from training.mts_scoring.sklearn_predictor import SklearnPredictor

FEATURES = (Feature("größe", "numeric"), Feature("farbe", "categorical"))
FRAME = pd.DataFrame({"größe": [1.0, 2.0, 3.0, 4.0], "farbe": ["rot", "blau", "rot", "blau"]}, index=[3, 5, 7, 9])


@pytest.fixture
def model() -> ScoringModel:
    encoder = TableEncoder.fit(FRAME, FEATURES, style="linear")
    estimator = LogisticRegression().fit(encoder.transform(FRAME).astype(np.float64), [0, 0, 1, 1])
    predictor = SklearnPredictor(encoder, estimator, num_classes=2)
    return ScoringModel(predictor, "binary", ("schlecht", "gut"), FEATURES, "ziel", 0.4, {"weight_column": None})


@pytest.fixture
def saved(model: ScoringModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_everything_comes_back(model: ScoringModel, saved: Path) -> None:
    loaded = ScoringModel.load(saved)
    for field in ("task", "classes", "features", "target", "threshold", "extras", "requirements"):
        assert getattr(loaded, field) == getattr(model, field)
    assert loaded.requirements == ("numpy", "pandas", "scikit-learn", "skops")
    pd.testing.assert_frame_equal(loaded.predict(FRAME), model.predict(FRAME))


def test_predictions_are_named_as_the_classes_and_keep_the_index(model: ScoringModel) -> None:
    predictions = model.predict(FRAME)
    assert list(predictions.columns) == ["schlecht", "gut"]
    assert list(predictions.index) == [3, 5, 7, 9]


def test_missing_columns_are_named_with_the_nearest(model: ScoringModel) -> None:
    with pytest.raises(InputError, match="lack: 'größe'; nearest to 'größe': 'grösse'"):
        model.scores(FRAME.rename(columns={"größe": "grösse"}))
    with pytest.raises(InputError, match=r"lack: 'größe', 'farbe'$"):
        model.scores(pd.DataFrame({"zz": [1]}))


@pytest.mark.parametrize("file", ["encoder.json", "estimator.skops", "classes.json"])
def test_an_altered_file_is_refused(saved: Path, file: str) -> None:
    path = saved / "predictor" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match=f"file '{file}' of the model was altered"):
        ScoringModel.load(saved)


def test_a_missing_or_added_file_is_refused(saved: Path) -> None:
    (saved / "predictor" / "extra.bin").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"file 'extra.bin' does not belong"):
        ScoringModel.load(saved)
    (saved / "predictor" / "extra.bin").rename(saved / "predictor" / "later.bin").unlink()
    (saved / "predictor" / "classes.json").unlink()
    with pytest.raises(ModelFileError, match=r"file 'classes.json' of the model is missing"):
        ScoringModel.load(saved)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("", "is not JSON"),
        ('{"format_version": 99}', "version 99; this code reads 1"),
        (None, "no manifest.json"),
    ],
)
def test_a_folder_that_is_no_model(saved: Path, manifest: str | None, message: str) -> None:
    (saved / "manifest.json").unlink()
    if manifest is not None:
        (saved / "manifest.json").write_text(manifest)
    with pytest.raises(ModelFileError, match=message):
        ScoringModel.load(saved)


def test_an_unknown_kind_of_predictor(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(manifest | {"predictor": "oracle"}))
    with pytest.raises(ModelFileError, match=r"predictor kind 'oracle' is not known here; known: .*xgboost"):
        ScoringModel.load(saved)


def test_nothing_is_written_over(model: ScoringModel, saved: Path) -> None:
    with pytest.raises(FileExistsError, match="not empty"):
        model.save(saved)


def test_types_that_are_not_on_the_list_are_never_loaded(model: ScoringModel, tmp_path: Path) -> None:
    model.predictor.save(tmp_path)
    matrix = np.array([[0.0], [1.0]])
    estimator = SGDClassifier(loss="log_loss").fit(matrix, [0, 1])
    estimator.smuggled = pd.DataFrame  # a type of which nobody said that it may come out of a file
    skops.io.dump(estimator, tmp_path / "estimator.skops")
    with pytest.raises(UntrustedTypesFoundException):
        SklearnPredictor.load(tmp_path)


def test_the_table_of_predictors_refuses_a_kind_twice() -> None:
    with pytest.raises(ValueError, match="'xgboost' is there twice"):
        PredictorTable([("xgboost", "a", "A"), ("xgboost", "b", "B")])
    for kind in PREDICTORS:
        assert PREDICTORS[kind].kind == kind


@pytest.mark.parametrize(("kind", "others"), [("xgboost", {"skops"}), ("sklearn", {"xgboost", "skops"})])
def test_scoring_one_kind_imports_no_library_of_another(kind: str, others: set[str]) -> None:
    code = f"import sys, training.mts_scoring.registry as r; r.PREDICTORS[{kind!r}]; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not others & set(modules)
    assert "mlflow" not in modules
