"""What a registered version adds to the models in it: raw rows through plain MLflow, beside the libraries' own calls.

The baseline is what is left when everything else is taken away: each member, of each fold, is given the matrix that it
wants, ready in memory, and is asked by its library's own function. Both are measured in turn in one process,
in milliseconds of its processor time, which other users of the machine disturb least.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import pandas as pd

from benchmarks.report import Row, timed_s
from training.data import DataAccess
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

ROOT = Path(__file__).parents[1]
ROWS, TURNS, SINGLE_ROWS = 1000, 15, 200
MODELS: dict[str, dict[str, Any]] = {
    "xgboost": {"family": "xgboost"},
    "tabm": {"family": "torch", "architecture": "tabm"},
    "stack": {"family": "hybrid"},
    "auto": {"family": "auto", "time_budget_s": 40},
}
MOST_RATIO, MOST_SINGLE_MS = 1.5, 20.0


def rows(*labels: str) -> list[Row]:
    """Measures."""
    return [row for label in labels or MODELS for row in _rows(label)]


def _rows(label: str) -> Iterator[Row]:
    frame = pd.read_csv(ROOT / "examples" / "data" / "german_credit.csv").drop(columns="creditability")
    with tempfile.TemporaryDirectory(prefix="mts-prediction-") as folder:
        model = registered(MODELS[label], Path(folder))
        predictor = model.unwrap_python_model().model.predictor
        calls = list(bare_calls(predictor, frame.head(ROWS)))

        def bare() -> None:
            for call in calls:
                call()

        ours = partial(model.predict, frame.head(ROWS))
        pairs = [(cpu_s(ours), cpu_s(bare)) for _ in range(TURNS + 2)][2:]
        ours_ms, bare_ms = (1000 * median(pair[place] for pair in pairs) for place in (0, 1))
        scored = model.unwrap_python_model().model.predict
        own_ms = 1000 * median(cpu_s(partial(scored, frame.head(ROWS))) for _ in range(5))
        note = f"{len(calls)} models; {own_ms:.1f} ms of ours without MLflow's check of each value"
        yield Row(f"{label}: {ROWS:,} raw rows through pyfunc / bare members", ours_ms, bare_ms, "ms", MOST_RATIO, note)
        if label == "xgboost":
            asked = [partial(model.predict, frame.iloc[[place]]) for place in range(SINGLE_ROWS)]
            wall_ms = 1000 * median(timed_s(ask) for ask in asked)
            single_ms = 1000 * median(cpu_s(ask) for ask in asked)
            note = f"{wall_ms:.1f} ms by the clock on the wall"
            yield Row("xgboost: a warm single row through pyfunc", single_ms, None, "ms", MOST_SINGLE_MS, note)


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of a call, of all threads."""
    started = process_time()
    work()
    return process_time() - started


def registered(model: dict[str, Any], folder: Path) -> Any:
    """A version of the model, loaded by plain MLflow."""
    import mlflow

    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    workplace = Workplace(DataAccess((str(ROOT / "examples" / "data"),), ROOT), registry)
    spec = {
        "name": "prediction", "model": model, "evaluation": {"bootstrap_samples": 0, "explain": False},
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
    }  # fmt: skip
    result = run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id="job_prediction")
    mlflow.set_tracking_uri(registry.tracking_uri)
    return mlflow.pyfunc.load_model(result.model.uri)


def bare_calls(predictor: Any, frame: pd.DataFrame) -> Iterator[Callable[[], object]]:
    """The libraries' own calls of all models in a predictor. Its classes are those of the copy that it brought."""
    if predictor.kind == "calibrated":
        yield from bare_calls(predictor.inner, frame)
    elif predictor.kind == "stack":
        for models in predictor.members:
            for model in models:
                yield from bare_calls(model, frame)
    elif predictor.kind == "xgboost":
        yield partial(predictor.booster.inplace_predict, predictor.encoder.transform(frame))
    elif predictor.kind == "sklearn":
        matrix = predictor.encoder.transform(frame)
        matrix = matrix.astype("float64") if predictor.encoder.style == "linear" else matrix
        yield partial(predictor.estimator.predict_proba, matrix)
    else:
        yield from _of_networks(predictor, frame)


def _of_networks(predictor: Any, frame: pd.DataFrame) -> Iterator[Callable[[], object]]:
    import torch

    from training.mts_scoring.network_base import Inputs

    inputs = Inputs.of(predictor.encoder.transform(frame))

    def ask(network: Any) -> object:
        with torch.inference_mode():
            return network(inputs)

    for network in predictor.networks:
        yield partial(ask, network)
