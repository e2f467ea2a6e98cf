"""Searches: against plain Optuna and a function trainable on the same rows, with and without early ends, and the cost
of a trial itself.

Two CPUs: our trials and those of the function trainable run two at a time with one thread each, plain Optuna in two
threads with one thread each.
"""

# ruff: noqa: PD011  # the values of a trial, not of a frame

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import ray
import xgboost as xgb
from ray import tune
from sklearn.metrics import roc_auc_score

from benchmarks.report import Row, timed_s
from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData, FittedModel
from training.mts_scoring.predictor import Predictor
from training.result import TrialRow
from training.spec import ModelSpec, ResourcesSpec, TrainSpec, parse_spec
from training.tuning import plan_study
from training.tuning.proposers import OptunaProposer
from training.tuning.study import StudyOutcome, StudySetup, run_study
from training.tuning.work import TrialWork

ROWS, COLUMNS = 100_000, 20
TRIALS = 64
ROUNDS, PATIENCE = 100, 20
SEEDS = 5
TRIVIAL_TRIALS = 1000
SMALL_TRIALS, SMALL_ROWS = 50, 4000
SHARED = Path(os.environ.get("MTS_BENCH_DATA", "../shared/data"))
TARGETS: dict[str, tuple[str, list[str]]] = {
    "german_credit": ("creditability", []),
    "uci_credit_default": ("default", []),
    "adult": ("income", ["uci_split"]),
    "brfss_heart": ("HeartDisease", []),
    "nyc_flights": ("late", ["time_hour"]),
    "nannyml_car_loan": ("repaid", ["timestamp", "part"]),
}
"""Target of each set, and the columns that are no features."""


def table(rows: int = ROWS, seed: int = 0) -> tuple[FitData, TableSchema]:
    """A binary problem with weak non-linear signal; a fifth of the rows is for validation."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    signal = values[:, 0] * values[:, 1] + np.sin(2 * values[:, 2]) + 0.5 * values[:, 3]
    target = (signal + rng.normal(size=rows) * 1.5 > 0).astype(np.int64)
    frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(COLUMNS)])
    columns = tuple(Column(name, "numeric", "feature", 0, rows) for name in frame.columns)
    schema = TableSchema(columns, "y", "binary", ("0", "1"), ())
    cut = rows * 4 // 5
    train = Rows(frame.iloc[:cut], target[:cut], None)
    return FitData(schema, train, Rows(frame.iloc[cut:].reset_index(drop=True), target[cut:], None)), schema


def spec_of(seed: int, **changes: Any) -> TrainSpec:
    """A search over XGBoost's own space."""
    raw = {
        "name": "bench",
        "data": {"source": {"type": "inline", "rows": [{"x": 0, "y": 0}]}, "target": "y"},
        "model": {"family": "xgboost", "params": {"n_estimators": ROUNDS, "early_stopping_rounds": PATIENCE}},
        "split": {"seed": seed},
        "tune": {"num_trials": TRIALS, "scheduler": "none", "warm_start": False} | changes,
    }
    return parse_spec(TrainSpec, raw)


class Quiet:
    """Hears of trials and notes when each ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def trial(self, row: TrialRow) -> None:
        if row.status != "RUNNING":
            self.ends.append(time.perf_counter())

    def best(self, row: TrialRow, ended: int) -> None:
        """Needs no note."""

    def progress(self, fraction: float) -> None:
        """Needs no note."""


def study(spec: TrainSpec, data: FitData, listener: Quiet, **work: Any) -> StudyOutcome:
    """Our search, as a job runs it."""
    plan = plan_study(spec, "binary")
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as name:
        folder = Path(name)
        shared = TrialWork(
            model=spec.model, parts=(data,), goal=plan.goal, seed=0, cpus=1, gpus=0, pace=None,
            scores_folder=folder / "scores", **work,
        )  # fmt: skip
        setup = StudySetup(folder, "bench", ResourcesSpec(), spec.split.seed)
        return run_study(plan, shared, setup, listener)


@ray.remote(num_cpus=1)
def study_in_task(spec: TrainSpec, data: FitData) -> tuple[float, float, dict[str, int]]:
    """Seconds, the best value and the statuses of a search, in a task, as in the service."""
    begun = time.perf_counter()
    outcome = study(spec, data, Quiet())
    counts: dict[str, int] = {}
    for row in outcome.rows:
        counts[row.status] = counts.get(row.status, 0) + 1
    return time.perf_counter() - begun, outcome.best.values["roc_auc"], counts


def fit_plainly(data: FitData, params: dict[str, Any]) -> float:
    """What a script does for a trial."""
    assert data.validation is not None
    model = xgb.XGBClassifier(
        n_estimators=ROUNDS,
        early_stopping_rounds=PATIENCE,
        tree_method="hist",
        n_jobs=1,
        verbosity=0,
        enable_categorical=True,
        **params,
    )
    validation = data.validation
    model.fit(data.train.frame, data.train.target, eval_set=[(validation.frame, validation.target)], verbose=False)
    return float(roc_auc_score(validation.target, model.predict_proba(validation.frame)[:, 1]))


def with_categories(data: FitData) -> FitData:
    """Text columns as categories, as XGBoost wants them of a script; those of the train rows, in both parts."""
    assert data.validation is not None
    train, validation = data.train.frame.copy(), data.validation.frame.copy()
    for name in train.columns:
        if not pd.api.types.is_numeric_dtype(train[name]):
            train[name] = train[name].astype("category")
            validation[name] = pd.Categorical(validation[name], categories=train[name].cat.categories)
    parts = replace(data.train, frame=train), replace(data.validation, frame=validation)
    return replace(data, train=parts[0], validation=parts[1])


def plain_optuna(spec: TrainSpec, data: FitData, trials: int = TRIALS, jobs: int = 2) -> float:
    """The same sampler over the same space, in threads of this process; the best value."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = plan_study(spec, "binary")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proposer = OptunaProposer("tpe", plan.space, plan.goal, spec.split.seed)

    def objective(trial: optuna.trial.Trial) -> float:
        from training.tuning.proposers import _suggested

        params = plan.space.draw(lambda name, parameter: _suggested(trial, name, parameter))
        return fit_plainly(data, params)

    proposer._study.optimize(objective, n_trials=trials, n_jobs=jobs)
    return float(proposer._study.best_value)


def function_trainable(spec: TrainSpec, data: FitData, folder: str) -> None:
    """`ray.tune` as its guide shows it: a function for each trial, the data as a parameter."""
    plan = plan_study(spec, "binary")
    low_high = {
        name: (parameter.low, parameter.high, parameter.log) for name, parameter in plan.space.parameters.items()
    }
    space = {
        name: tune.randint(low, high + 1) if isinstance(low, int)
        else tune.loguniform(low, high) if is_log else tune.uniform(low, high)
        for name, (low, high, is_log) in low_high.items()
    }  # fmt: skip

    def trial(config: dict[str, Any], rows: FitData) -> None:
        tune.report({"roc_auc": fit_plainly(rows, config)})

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, rows=data), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=TRIALS, metric="roc_auc", mode="max"),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    tuner.fit()


class Constant(Predictor):
    """Predicts nothing of worth."""

    kind = "constant"
    requirements = ()

    def predict(self, frame: pd.DataFrame) -> Any:
        return np.tile([0.5, 0.5], (len(frame), 1))

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Constant:
        raise NotImplementedError


def fit_nothing(_model: ModelSpec, _data: FitData, _context: FitContext) -> FittedModel:
    """A trial that costs nothing but being a trial."""
    return FittedModel(Constant(), {})


def speed_rows() -> list[Row]:
    """64 trials on 100,000 rows beside plain Optuna and a function trainable."""
    data, _ = table()
    with tempfile.TemporaryDirectory(prefix="mts-ray-") as folder, _cluster():
        ray.get(study_in_task.remote(spec_of(0, num_trials=2), table(1000)[0]))  # warms the process of the task
        ours_s, ours_best, _ = ray.get(study_in_task.remote(spec_of(0), ray.put(data)))
        begun = time.perf_counter()
        plain_best = plain_optuna(spec_of(0), data)
        plain_s = time.perf_counter() - begun
        function_s = timed_s(lambda: function_trainable(spec_of(0), data, folder))
    note = f"{ROWS:,} rows, {ROUNDS} rounds at most; best {ours_best:.4f} and {plain_best:.4f}"
    return [
        Row(f"{TRIALS} trials / plain Optuna in two threads", ours_s, plain_s, "s", 1.0, note),
        Row(f"{TRIALS} trials / ray.tune with a function", ours_s, function_s, "s", 0.4),
    ]


def asha_rows(seeds: Sequence[int] = range(SEEDS)) -> list[Row]:
    """64 trials on 100,000 rows with early ends and without."""
    data, _ = table()
    pairs = []
    with _cluster():
        ray.get(study_in_task.remote(spec_of(0, num_trials=2), table(1000)[0]))
        reference = ray.put(data)
        for seed in seeds:
            ended = ray.get(study_in_task.remote(spec_of(seed, scheduler="asha"), reference))
            whole = ray.get(study_in_task.remote(spec_of(seed), reference))
            print(f"seed {seed}: asha {ended}, none {whole}", flush=True)
            pairs.append((ended, whole))
    asha_s, none_s = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    loss = statistics.median(pair[1][1] - pair[0][1] for pair in pairs)
    return [
        Row("with asha / without", asha_s, none_s, "s", 0.5, f"median of {len(pairs)} seeds, {pairs[0][0][2]}"),
        Row("best ROC AUC lost by asha", loss, None, "", 0.0005, f"median of {len(pairs)} seeds"),
    ]


@contextmanager
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def trivial_rows() -> list[Row]:
    """A thousand trials that do nothing."""
    data, _ = table(200)
    listener = Quiet()
    with _cluster():
        study(spec_of(0, num_trials=TRIVIAL_TRIALS, searcher="random"), data, listener, fit=fit_nothing)
    first = (listener.ends[100] - listener.ends[0]) * 10
    last = (listener.ends[-1] - listener.ends[-101]) * 10
    return [Row(f"{TRIVIAL_TRIALS} trivial trials: last hundred / first hundred", last, first, "ms each", 1.3)]


def quality_rows(names: Sequence[str] = ()) -> list[Row]:
    """The best value after 50 trials, beside plain Optuna's, on real rows; one trial at a time, as it does."""
    found = []
    with _cluster():
        for name, data in _real_tables(names):
            ours, plain = [], []
            for seed in range(SEEDS):
                spec = spec_of(seed, num_trials=SMALL_TRIALS, max_concurrent_trials=1)
                ours.append(study(spec, data, Quiet()).best.values["roc_auc"])
                plain.append(plain_optuna(spec, with_categories(data), SMALL_TRIALS, jobs=1))
            print(f"{name}: ours {ours}, plain {plain}", flush=True)
            best = statistics.median(ours), statistics.median(plain)
            note = f"ROC AUC {best[0]:.4f} and {best[1]:.4f}, medians of {SEEDS} seeds"
            found.append(Row(f"{name}: error of the best of {SMALL_TRIALS}", 1 - best[0], 1 - best[1], "", 1.0, note))
    return found


def _real_tables(names: Sequence[str]) -> Iterator[tuple[str, FitData]]:
    """At most SMALL_ROWS rows of each set: that many fits of all of them would take hours."""
    from training.data import DataAccess, load
    from training.pipeline.prepare import check, partition

    for name in names or TARGETS:
        file = SHARED / f"{name}.parquet"
        if not file.is_file():
            print(f"{file} is not there: left out", flush=True)
            continue
        frame = pd.read_parquet(file)
        with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
            frame.sample(min(SMALL_ROWS, len(frame)), random_state=0).to_parquet(Path(folder) / "rows.parquet")
            source = {"type": "file", "uri": f"{folder}/rows.parquet"}
            target, exclude = TARGETS[name]
            raw = {"name": "bench", "data": {"source": source, "target": target, "exclude": exclude}}
            spec = parse_spec(TrainSpec, raw)
            checked = check(load(spec.data.source, DataAccess(roots=(folder,), base=Path(folder))), spec)
        parts = partition(checked, spec)
        yield name, FitData(checked.schema, parts.train, parts.validation)


def rows() -> list[Row]:
    """Measures."""
    return [*trivial_rows(), *speed_rows(), *asha_rows(), *quality_rows()]


PARTS: dict[str, Callable[..., list[Row]]] = {
    "trivial": trivial_rows,
    "speed": speed_rows,
    "asha": lambda *seeds: asha_rows([int(seed) for seed in seeds] or range(SEEDS)),
    "quality": lambda *names: quality_rows(names),
}
"""By name: `python -m benchmarks tuning.asha:0,1 tuning.quality:adult`; what follows the colon are seeds, or sets."""
