"""A trained model as a folder that plain MLflow loads, in an environment that lacks this project."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.pyfunc.loaders.code_model
import pandas as pd
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from training.mts_scoring.model import ScoringModel
from training.mts_scoring.packaging import package_copy
from training.registry.environment import installed_version

MODEL_PATH = "artifacts/model"
"""Where in the MLflow model the folder of the ScoringModel is."""
CODE_FOLDER = "code"
EXAMPLE_FILE, SERVING_FILE, PYTHON_FILE = "input_example.json", "serving_input_example.json", "python_env.yaml"
EXAMPLE_ROWS = 3
ALWAYS_NEEDED = ("mlflow", "numpy", "pandas")


def save_mlflow_model(model: ScoringModel, sample: pd.DataFrame, folder: Path, run_id: str) -> None:
    """Writes the MLflow model: the model's own files, the code that reads them, and MLflow's description.

    It is written with `mlflow.pyfunc.add_to_model` and not with `mlflow.pyfunc.save_model`, which looks through every
    installed package to compare the requirements with them (1.3 s in a fresh process, 0.1 s in a warm one), and writes
    this machine's temporary paths into the model.

    Args:
        model: the trained model.
        sample: rows from which the input example is taken; raw, with the model's features.
        folder: where the MLflow model goes; must not exist.
        run_id: of the run that made it.
    """
    code = folder / CODE_FOLDER
    code.mkdir(parents=True)
    script, _ = package_copy(code)
    shutil.move(script, folder / script.name)
    model.save(folder / MODEL_PATH)
    _write_environment(model, folder)
    described = Model(
        artifact_path=folder.name,
        run_id=run_id,
        signature=signature_of(model),
        saved_input_example_info=_write_example(model, sample, folder),
        metadata={
            "task": model.task,
            "target": model.target,
            "classes": list(model.classes),
            "features": {feature.name: feature.kind for feature in model.features},
        },
    )
    mlflow.pyfunc.add_to_model(
        described,
        loader_module=mlflow.pyfunc.loaders.code_model.__name__,
        code=CODE_FOLDER,
        python_env=PYTHON_FILE,
        model_code_path=script.name,
        artifacts={"model": {"path": MODEL_PATH, "uri": MODEL_PATH}},
        streamable=False,
    )
    described.save(str(folder / "MLmodel"))


def signature_of(model: ScoringModel) -> ModelSignature:
    """Column names of input and output.

    The inputs have MLflow's type Any: its other types refuse what raw rows often hold (int64 where the training rows
    had gaps and so were floats, numbers in a categorical column, times as text), and the model itself reads these, or
    says what is wrong with them. The kinds of the columns are in the model's metadata.
    """
    inputs = Schema([ColSpec(AnyType(), feature.name, required=False) for feature in model.features])
    return ModelSignature(inputs, Schema([ColSpec(DataType.double, name) for name in model.outputs]))


def pinned_requirements(model: ScoringModel) -> tuple[str, ...]:
    """What loading needs, in the versions that the model was made with."""
    names = sorted({*ALWAYS_NEEDED, *model.requirements})
    versions = {name: installed_version(name) for name in names}
    return tuple(name if version is None else f"{name}=={version}" for name, version in versions.items())


def _write_environment(model: ScoringModel, folder: Path) -> None:
    (folder / "requirements.txt").write_text("\n".join(pinned_requirements(model)) + "\n", encoding="utf-8")
    python_env = {
        "python": platform.python_version(),
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / PYTHON_FILE).write_text(yaml.safe_dump(python_env, sort_keys=False), encoding="utf-8")


def _write_example(model: ScoringModel, sample: pd.DataFrame, folder: Path) -> dict[str, Any]:
    rows = sample[[feature.name for feature in model.features]].head(EXAMPLE_ROWS)
    split = json.loads(rows.to_json(orient="split", index=False, date_format="iso"))
    (folder / EXAMPLE_FILE).write_text(json.dumps(split, ensure_ascii=False), encoding="utf-8")
    serving = json.dumps({"dataframe_split": split}, ensure_ascii=False)
    (folder / SERVING_FILE).write_text(serving, encoding="utf-8")
    return {
        "artifact_path": EXAMPLE_FILE,
        "serving_input_path": SERVING_FILE,
        "type": "dataframe",
        "pandas_orient": "split",
    }
