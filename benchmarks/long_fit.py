"""What the service adds to a long fit: time and peak memory against the bare library call on the same frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from benchmarks.report import Row
from benchmarks.service import ROOT

ROWS = 1_000_000
COLUMNS = 30
ROUNDS = 1500
THREADS = 2
FITTED, VALIDATED = 640_000, 160_000
"""What a job fits on and what it stops early by, of a million rows."""

BARE = """
import json, sys, time
import pandas as pd, xgboost as xgb
frame = pd.read_parquet(sys.argv[1])
y = frame.pop("y")
fitted, validated = int(sys.argv[3]), int(sys.argv[4])
begun = time.perf_counter()
model = xgb.XGBClassifier(**json.loads(sys.argv[2]))
held = [(frame.iloc[-validated:], y.iloc[-validated:])]
model.fit(frame.iloc[:fitted], y.iloc[:fitted], eval_set=held, verbose=False)
rounds = model.get_booster().num_boosted_rounds()
print(json.dumps({"fit_s": time.perf_counter() - begun, "rounds": rounds}))
"""


MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
answer = process.stdout.read().decode()
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), answer, usage.ru_maxrss / 1024]))
"""
"""Runs a command from a process of a few MB: a peak starts at that of the process that spawned it."""


def make_frames(data: Path, train: Path) -> None:
    """A binary problem with weak non-linear signal, so that boosting keeps going; and the share that a fit sees."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(ROWS, COLUMNS))
    signal = values[:, 0] * values[:, 1] + np.sin(values[:, 2]) + 0.5 * values[:, 3]
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(COLUMNS)])
    frame["y"] = (signal + generator.normal(size=ROWS) > 0).astype(int)
    frame.to_parquet(data)
    frame.sample(FITTED + VALIDATED, random_state=0).reset_index(drop=True).to_parquet(train)


def measured(command: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Runs a command that prints JSON; answers that and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
    )
    code, answer, peak_mb = json.loads(done.stdout)
    if code != 0:
        raise RuntimeError(f"{command[:4]} ended with {code}")
    return json.loads(answer), peak_mb


def compared(folder: str, data: Path, train: Path, patience: int) -> tuple[dict[str, Any], ...]:
    """What the bare call says of the whole frame and of the train rows, and the job of itself; with their peaks in MB.

    The bare call fits on as many rows as the job, and stops by as many others; for its peak it has the whole frame.
    """
    params = {
        "n_estimators": ROUNDS,
        "learning_rate": 0.05,
        "max_depth": 6,
        "tree_method": "hist",
        # the service's own defaults are 0.8: both sides must do the same work
        "subsample": 1.0,
        "colsample_bytree": 1.0,
    }
    spec = {
        "name": "long",
        "data": {"source": {"type": "file", "uri": str(data)}, "target": "y"},
        "model": {"family": "xgboost", "params": params | {"early_stopping_rounds": patience}},
        "resources": {"cpus_per_worker": THREADS},
    }
    (Path(folder) / "spec.json").write_text(json.dumps(spec))
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "MTS_HOME": folder, "MTS_DATA_ROOTS": folder}
    bare = json.dumps(params | {"n_jobs": THREADS} | ({"early_stopping_rounds": patience} if patience else {}))
    commands = [
        *(
            [sys.executable, "-c", BARE, str(frame), bare, str(fitted), str(VALIDATED)]
            for frame, fitted in ((data, ROWS), (train, FITTED))
        ),
        [sys.executable, "-m", "training", "run", str(Path(folder) / "spec.json"), "--json"],
    ]
    whole, small, ours = (
        said | {"peak_mb": peak_mb} for said, peak_mb in (measured(each, environment) for each in commands)
    )
    run = MlflowClient(f"sqlite:///{folder}/mlflow.db").get_run(ours["run_id"])
    return whole, small, ours | {"rounds": round(run.data.metrics["rounds"])}


def rows() -> list[Row]:
    """Measures, without early stopping and with it."""
    found = []
    with tempfile.TemporaryDirectory(prefix="mts-long-") as folder:
        data, train = Path(folder) / "long.parquet", Path(folder) / "train.parquet"
        make_frames(data, train)
        for name, patience in (("long fit", 0), ("with early stopping", 50)):
            whole, small, ours = compared(folder, data, train, patience)
            timings = f"{ours['rounds']} and {small['rounds']} rounds; {json.dumps(ours['timings'])}"
            found += [
                Row(f"{name}: whole job / bare fit on the train rows", sum(ours["timings"].values()), small["fit_s"],
                    "s", 1.05, timings),
                Row(f"{name}: peak memory / bare call on the frame", ours["peak_mb"], whole["peak_mb"], "MB", 1.2,
                    f"{ROWS:,} x {COLUMNS}"),
            ]  # fmt: skip
    return found
