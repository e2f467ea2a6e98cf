"""How good the models are on real data, beside published figures, set by set:

    python -m benchmarks.accuracy FOLDER [set …] [--models auto tabm …]
    python -m benchmarks accuracy.german_credit accuracy.adult:auto,xgboost

FOLDER holds the Parquet files of SETS and is no part of this project; the second form looks for it where
MTS_BENCHMARK_DATA says, else beside the project, in ../shared/data. The test rows are those of
train_test_split(frame, test_size=0.25, random_state=7, stratify=target); all the rest is given to a job as its train
rows. Each model is a job of its own, in a process of its own, registered and loaded again: what is measured is what a
user gets. The published figures are of other tools on the same rows on two cores of this kind of machine.

What is measured is kept in RESULTS, and is not measured again: a run that was broken off goes on, and the sets can be
measured one by one when the machine is quiet. `--again`, or `again` among the models, measures anew.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from benchmarks.report import Row

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".mts" / "benchmarks" / "accuracy.json"
BUDGET_S = 120.0
PART = "split_of_the_benchmark"
AGAIN = "again"
CPUS = 2
MODELS: dict[str, dict[str, Any]] = {
    "auto": {"family": "auto", "time_budget_s": BUDGET_S},
    "tabm": {"family": "torch", "architecture": "tabm"},
    "mlp": {"family": "torch", "architecture": "mlp"},
    "xgboost": {"family": "xgboost"},
    "xgboost_features": {"family": "xgboost", "features": ["target_encoding", "counts", "crosses", "aggregates"]},
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


def data_folder() -> Path:
    """Where the sets are."""
    return Path(os.environ.get("MTS_BENCHMARK_DATA", ROOT.parent / "shared" / "data"))


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
        # MLflow keeps the registry of the job before in its process
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
            result |= apart.submit(predicted, Path(home), data, result, published).result()
    return result


def predicted(home: Path, data: Path, result: dict[str, Any], published: Published) -> dict[str, Any]:
    """Loads the version by plain MLflow; ROC AUC on the test rows, milliseconds per 1,000 rows, megabytes."""
    import mlflow

    store = f"sqlite:///{home / 'mlflow.db'}"
    mlflow.set_tracking_uri(store)
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


def kept() -> dict[str, dict[str, Any]]:
    """What was measured, by set, model and CPUs."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def measured(folder: Path, name: str, label: str, cpus: int, *, again: bool = False) -> dict[str, Any]:
    """The figures of a model on a set: those that are kept, or new ones, which are kept from now on."""
    key = f"{name}/{label}/{cpus}"
    if not again and key in kept():
        return kept()[key]
    published = SETS[name]
    with tempfile.TemporaryDirectory(prefix="mts-data-") as temporary:
        data = Path(temporary) / f"{name}.parquet"
        marked(folder, name, published.target).to_parquet(data)
        result = trained(data, published, MODELS[label], cpus)
    chosen = {name: result[name] for name in ("roc_auc", "predict_ms", "size_mb", "wall_s", "timings", "leaderboard")}
    found = {**chosen, "load": os.getloadavg()[0], "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    partial_file = RESULTS.with_suffix(".partial")
    partial_file.write_text(json.dumps({**kept(), key: found}, indent=1))
    partial_file.replace(RESULTS)
    return found


def rows(name: str, *models: str) -> list[Row]:
    """A set's rows of the benchmark table: errors, 1 - ROC AUC, beside those of others; and whether time was kept."""
    again, labels = AGAIN in models, [label for label in models if label != AGAIN] or ["auto", "tabm"]
    return [
        row for label in labels for row in _rows(name, label, measured(data_folder(), name, label, CPUS, again=again))
    ]


def _rows(name: str, label: str, found: dict[str, Any]) -> Iterable[Row]:
    published, error = SETS[name], 1.0 - found["roc_auc"]
    note = (
        f"ROC AUC {found['roc_auc']:.4f}; job {found['wall_s']:.0f} s, {found['predict_ms']:.0f} ms for 1,000 rows, "
        f"{found['size_mb']:.1f} MB; load {found['load']:.1f}"
    )
    others = {"XGBoost's defaults": published.xgboost}
    if label == "auto":
        others = {"AutoGluon 120 s": published.autogluon_120, "FLAML 60 s": published.flaml_60}
        yield Row(f"{name}: auto's fit / its budget", found["timings"]["fit_s"], BUDGET_S, "s", 1.05, note)
    for other, roc_auc in others.items():
        yield Row(f"{name}: 1 - ROC AUC of {label} / {other}", error, 1.0 - roc_auc, "", 1.0, note)


PARTS: dict[str, Callable[..., list[Row]]] = {name: partial(rows, name) for name in SETS}


def main() -> None:
    """Prints a row for each data set and model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=list(SETS))
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=["auto"])
    parser.add_argument("--cpus", type=int, default=CPUS)
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    given = parser.parse_args()
    table = Table(
        "data", "model", "ROC AUC", "XGBoost", "FLAML 60 s", "AutoGluon 120 s", "fit s", "job s", "ms / 1,000 rows",
        "MB", "load",
    )  # fmt: skip
    for name in given.sets:
        published = SETS[name]
        for label in given.models:
            found = measured(given.folder, name, label, given.cpus, again=given.again)
            table.add_row(
                name, label, f"{found['roc_auc']:.4f}", f"{published.xgboost:.4f}", f"{published.flaml_60:.4f}",
                f"{published.autogluon_120:.4f}", f"{found['timings']['fit_s']:.1f}", f"{found['wall_s']:.1f}",
                f"{found['predict_ms']:.0f}", f"{found['size_mb']:.1f}", f"{found['load']:.1f}",
            )  # fmt: skip
            Console(width=170).print(f"{name} {label} {found['roc_auc']:.4f}; {json.dumps(found['timings'])}")
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
