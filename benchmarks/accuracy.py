"""How good the models are on real data, beside published figures: python -m benchmarks.accuracy FOLDER [set …].

FOLDER holds the Parquet files of SETS and is no part of this project. The test rows are those of
train_test_split(frame, test_size=0.25, random_state=7, stratify=target); all the rest is given to a job as its train
rows. Each model is a job of its own, in a process of its own, registered and loaded again: what is measured is what a
user gets. The published figures are of other tools on the same rows on two cores of this kind of machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

ROOT = Path(__file__).parents[1]
BUDGET_S = 120.0
PART = "split_of_the_benchmark"
MODELS: dict[str, dict[str, Any]] = {
    "auto": {"family": "auto", "time_budget_s": BUDGET_S},
    "tabm": {"family": "torch", "architecture": "tabm"},
    "xgboost": {"family": "xgboost"},
    "stack": {"family": "hybrid"},
}


@dataclass(frozen=True)
class Published:
    """A binary data set: its target, and the ROC AUC of others."""

    target: str
    xgboost: float
    flaml_60: float
    autogluon_120: float


SETS = {
    "german_credit": Published("creditability", 0.7899, 0.7978, 0.7979),
    "uci_credit_default": Published("default", 0.7812, 0.7945, 0.8030),
    "adult": Published("income", 0.9256, 0.9303, 0.9293),
    "brfss_heart": Published("HeartDisease", 0.8370, 0.8438, 0.8441),
}


def marked(folder: Path, name: str, target: str) -> pd.DataFrame:
    """The data with a column that says which rows are test rows."""
    frame = pd.read_parquet(folder / f"{name}.parquet")
    _, test = train_test_split(frame, test_size=0.25, random_state=7, stratify=frame[target])
    return frame.assign(**{PART: "train"}).assign(
        **{PART: lambda all_: all_[PART].mask(all_.index.isin(test.index), "test")}
    )


def trained(data: Path, published: Published, model: dict[str, Any], cpus: int) -> dict[str, Any]:
    """The result of a job, and how the registered model predicts."""
    with tempfile.TemporaryDirectory(prefix="mts-accuracy-") as home:
        spec = {
            "name": "accuracy",
            "data": {"source": {"type": "file", "uri": str(data)}, "target": published.target},
            "split": {"strategy": "predefined", "column": PART},
            "model": model,
            "resources": {"cpus_per_worker": cpus},
            "evaluation": {"bootstrap_samples": 200},
        }
        (Path(home) / "spec.json").write_text(json.dumps(spec))
        environment = os.environ | {"MTS_HOME": home, "MTS_DATA_ROOTS": str(data.parent), "OMP_NUM_THREADS": str(cpus)}
        started = time.perf_counter()
        answer = subprocess.run(
            [sys.executable, "-m", "training", "run", f"{home}/spec.json", "--json"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        result: dict[str, Any] = json.loads(answer.stdout)
        result["wall_s"] = time.perf_counter() - started
        result |= predicted(Path(home), data, result, published)
    return result


def predicted(home: Path, data: Path, result: dict[str, Any], published: Published) -> dict[str, Any]:
    """Loads the version by plain MLflow; ROC AUC on the test rows, milliseconds per 1,000 rows, megabytes."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(result["model"]["uri"])
    frame = pd.read_parquet(data)
    test = frame[frame[PART] == "test"]
    scores = model.predict(test)
    positive = scores.columns[1]
    some = test.head(1000)
    model.predict(some)
    started = time.perf_counter()
    model.predict(some)
    spent_s = (time.perf_counter() - started) * 1000 / len(some)
    size = sum(path.stat().st_size for path in (home / "artifacts").rglob("*") if path.is_file())
    truth = test[published.target].astype(str) == positive
    return {
        "roc_auc": float(roc_auc_score(truth, scores[positive])),
        "predict_ms": 1000 * spent_s,
        "size_mb": size / 1e6,
    }


def main() -> None:
    """Prints a row for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=list(SETS))
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=["auto"])
    parser.add_argument("--cpus", type=int, default=2)
    given = parser.parse_args()
    table = Table(
        "data", "model", "ROC AUC", "XGBoost", "FLAML 60 s", "AutoGluon 120 s", "fit s", "job s", "ms / 1,000 rows",
        "MB", "load",
    )  # fmt: skip
    for name in given.sets:
        published = SETS[name]
        with tempfile.TemporaryDirectory(prefix="mts-data-") as folder:
            data = Path(folder) / f"{name}.parquet"
            marked(given.folder, name, published.target).to_parquet(data)
            for label in given.models:
                result = trained(data, published, MODELS[label], given.cpus)
                table.add_row(
                    name, label, f"{result['roc_auc']:.4f}", f"{published.xgboost:.4f}", f"{published.flaml_60:.4f}",
                    f"{published.autogluon_120:.4f}", f"{result['timings']['fit_s']:.1f}", f"{result['wall_s']:.1f}",
                    f"{result['predict_ms']:.0f}", f"{result['size_mb']:.1f}", f"{os.getloadavg()[0]:.1f}",
                )  # fmt: skip
                Console(width=170).print(f"{name} {label} {result['roc_auc']:.4f}; {json.dumps(result['timings'])}")
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
