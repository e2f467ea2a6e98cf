"""Measuring a model: the bootstrap against a loop over scikit-learn, and a whole report, with SHAP, of 50,000 rows."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from benchmarks.report import Row
from training.data import DataAccess
from training.evaluation import evaluate
from training.evaluation.drawing import draw_counts
from training.evaluation.report import Report
from training.evaluation.statistic import Buffers
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.pipeline.report import report_of
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

ROWS, SAMPLES, LOOPED = 200_000, 1000, 5
REPORT_ROWS = 50_000
THREADS = 2


def scored(rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    scores = generator.beta(1, 3, rows)
    return (generator.random(rows) < scores).astype(np.int64), scores


def looped(target: np.ndarray, scores: np.ndarray, samples: int) -> list[dict[str, float]]:
    """What the bootstrap replaces: scikit-learn's functions on each resample."""
    found = []
    for sample in range(samples):
        counts = draw_counts(len(target), 1, (0, sample), Buffers())[0]
        drawn = np.repeat(np.arange(len(target)), counts.astype(np.int64))
        y, s = target[drawn], scores[drawn]
        decided = s >= 0.5
        found.append({
            "roc_auc": sk.roc_auc_score(y, s), "average_precision": sk.average_precision_score(y, s),
            "log_loss": sk.log_loss(y, s), "brier_score": sk.brier_score_loss(y, s), "ece": binned_error(y, s),
            "accuracy": sk.accuracy_score(y, decided), "f1": sk.f1_score(y, decided),
        })  # fmt: skip
    return found


def binned_error(target: np.ndarray, scores: np.ndarray) -> float:
    bins = np.clip(np.ceil(scores * 15).astype(int) - 1, 0, 14)
    gaps = np.bincount(bins, scores - target, minlength=15)
    return float(np.abs(gaps).sum() / len(target))


def bootstrap() -> list[Row]:
    target, scores = scored(ROWS)
    started = time.perf_counter()
    intervals = evaluate("binary", target, scores, bootstrap_samples=SAMPLES, threads=THREADS)
    ours_s = time.perf_counter() - started
    started = time.perf_counter()
    replicates = looped(target, scores, LOOPED)
    loop_s = (time.perf_counter() - started) / LOOPED * SAMPLES
    for metric, interval in intervals.items():
        assert interval.low is not None
        assert interval.high is not None
        assert all(interval.low - 0.01 <= one[metric] <= interval.high + 0.01 for one in replicates), metric
    name = f"bootstrap: {SAMPLES:,} samples of 7 metrics, {ROWS:,} rows"
    note = f"against a loop over scikit-learn, from {LOOPED} samples"
    return [Row(name, ours_s, None, "s", 2.0, f"{THREADS} threads"), Row(name, ours_s, loop_s, "s", 1 / 20, note)]


def reported() -> list[Row]:
    """The report of 50,000 hold-out rows by an XGBoost model with early stopping, fit not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        table(REPORT_ROWS * 2).to_parquet(path)
        spec = parse_spec(TrainSpec, {
            "name": "bench", "data": {"source": {"type": "file", "uri": str(path)}, "target": "y"},
            "split": {"test_size": 0.5}, "resources": {"cpus_per_worker": THREADS},
        })  # fmt: skip
        place = Registry(f"sqlite:///{folder}/mlflow.db", f"{folder}/artifacts")
        workplace = Workplace(DataAccess(roots=(folder,), base=Path(folder)), place)
        spent: list[float] = []

        def timed(*arguments: Any, **options: Any) -> Report:
            started = time.perf_counter()
            found = report_of(*arguments, **options)
            spent.append(time.perf_counter() - started)
            return found

        with mock.patch("training.pipeline.register.report_of", timed):
            result = run(spec, workplace, SilentObserver(), job_id="bench")
    note = f"XGBoost, {result.data.test_rows:,} rows, 22 columns, TreeSHAP of a sample"
    return [Row("report of 50,000 test rows with SHAP", spent[0], None, "s", 10.0, note)]


def table(rows: int) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{index}": generator.normal(size=rows) for index in range(20)})
    frame["city"] = generator.choice(list("abcdefgh"), rows)
    signal = frame["x0"] + frame["x1"] * frame["x2"] + generator.normal(size=rows)
    return frame.assign(kind=generator.choice(["p", "q"], rows), y=np.where(signal > 0.5, "yes", "no"))


def rows() -> list[Row]:
    return [*bootstrap(), *reported()]
