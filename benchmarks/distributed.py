"""Fits that are spread over two workers: how soon they begin, how fast they are, and how much memory they take.

The baselines: Ray Train's own trainers for the start, one process with two threads for boosting, a plain `DataLoader`
loop and one worker for networks. Each row is a ratio within one run; on a busy machine repeat it.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import psutil

from benchmarks.report import Row, timed_s

ROWS, COLUMNS, ROUNDS = 3_000_000, 20, 30
NETWORK_ROWS, NETWORK_COLUMNS, BATCH = 200_000, 32, 1024


def rows() -> list[Row]:
    """All of them, on a cluster of their own with two CPUs."""
    import ray

    with tempfile.TemporaryDirectory(prefix="mts-bench-", ignore_cleanup_errors=True) as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
        try:
            table = [*_start(Path(folder)), *_boosting(Path(folder)), *_networks(Path(folder))]
        finally:
            ray.shutdown()
    return table


def _start(folder: Path) -> list[Row]:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.xgboost import XGBoostTrainer

    from training.spec import TorchSpec, XGBoostSpec

    def stock(trainer: Any, name: str) -> float:
        mark = folder / f"begun-{name}"

        def begin() -> None:
            mark.touch()

        started = time.time()
        trainer(begin, scaling_config=ScalingConfig(num_workers=2),
                run_config=RunConfig(name=name, storage_path=str(folder / "stock"))).fit()  # fmt: skip
        return mark.stat().st_mtime - started

    boosting = XGBoostSpec(params={"n_estimators": 5})
    network = TorchSpec(architecture="mlp", params={"max_epochs": 1, "n_seeds": 1, "hidden_sizes": [16]})
    data = _data(2_000, 8)
    first: list[Row] = []
    for name, engine, spec, trainer in [
        ("xgboost-ray", "xgboost_ray", boosting, XGBoostTrainer), ("XGBoost, Ray Train", "ray_train", boosting,
         XGBoostTrainer), ("PyTorch, Ray Train", "ray_train", network, TorchTrainer),
    ]:  # fmt: skip
        # once for what is loaded once: the service's processes are warm
        _fit(engine, spec, data, folder)
        ours = min(_fit(engine, spec, data, folder)["first_s"] for _ in range(2))
        theirs = min(stock(trainer, f"{name}-{number}".replace(" ", "-").replace(",", "")) for number in range(2))
        first.append(Row(f"start of two workers, {name}", ours, theirs, "s", 0.6, "to the first round or batch"))
    return first


def _boosting(folder: Path) -> list[Row]:
    from training.spec import XGBoostSpec

    spec = XGBoostSpec(params={"n_estimators": ROUNDS, "learning_rate": 0.1, "early_stopping_rounds": 0})
    with Peak() as alone_mb:
        alone = _in_child(_alone)
    data = _data(ROWS, COLUMNS)
    with Peak() as spread_mb:
        spread = _fit("xgboost_ray", spec, data, folder)
    frame_mb = data.train.frame.memory_usage().sum() / 1e6
    note = f"{ROWS:,} x {COLUMNS}, {ROUNDS} rounds; ours holds the caller's table too ({frame_mb:.0f} MB)"
    return [
        Row("boosting, two one-thread workers", spread["rounds_s"], alone, "s", 1.15, "first to last round"),
        Row("its peak memory, all processes", spread_mb.peak_mb, alone_mb.peak_mb, "MB", 1.5, note),
    ]


def _networks(folder: Path) -> list[Row]:
    from training.spec import TorchSpec

    params = {"max_epochs": 4, "n_seeds": 1, "hidden_sizes": [256, 256], "batch_size": BATCH, "patience": 0}
    spec = TorchSpec(architecture="mlp", params=params)
    data = _data(NETWORK_ROWS, NETWORK_COLUMNS)
    one = _local_epoch_s(spec, data)
    two = _fit("ray_train", spec, data, folder)["round_s"]
    loader, ours = _loader_epoch_s()
    return [
        Row("rows per second, DataLoader / resident", ours, loader, "s", 1 / 3, "an epoch of the same network"),
        Row("two workers / one, rows per second", two, one, "s", 1 / 1.5, "an epoch; one thread each"),
    ]


def _fit(engine: str, spec: Any, data: Any, folder: Path) -> dict[str, float]:
    """Seconds from the call to the first report, and from there to the last one."""
    from training.distributed import ENGINES, Spread
    from training.events import SilentObserver
    from training.models import FitContext

    times: list[tuple[float, int]] = []

    class Times(SilentObserver):
        def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
            times.append((time.perf_counter(), step or 0))

    spread = Spread((2, 2), 1, 0, None, "train:benchmark:job", folder / "work")
    started = time.perf_counter()
    ENGINES[engine, spec.family].fit(spec, data, FitContext(observer=Times()), spread)
    (first, step), (last, last_step) = times[0], times[-1]
    steps = max(1, last_step - step)
    return {"first_s": first - started, "rounds_s": last - first, "round_s": (last - first) / steps}


def _local_epoch_s(spec: Any, data: Any) -> float:
    from training.events import SilentObserver
    from training.models import FitContext, family_of

    times: list[float] = []

    class Times(SilentObserver):
        def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
            times.append(time.perf_counter())

    family_of(spec).fit(spec, data, FitContext(observer=Times()))
    return (times[-1] - times[0]) / (len(times) - 1)


def _loader_epoch_s() -> tuple[float, float]:
    """An epoch with a plain DataLoader, and one with slices of tensors that stay where the network is."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y = torch.randn(NETWORK_ROWS, NETWORK_COLUMNS), torch.randint(0, 2, (NETWORK_ROWS,))
    network = nn.Sequential(nn.Linear(NETWORK_COLUMNS, 64), nn.ReLU(), nn.Linear(64, 2)).to(device)
    optimizer = torch.optim.AdamW(network.parameters())

    def step(inputs: Any, target: Any) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), target).backward()
        optimizer.step()

    def with_loader() -> None:
        for inputs, target in DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True):
            step(inputs.to(device), target.to(device))

    resident_x, resident_y = x.to(device), y.to(device)

    def resident() -> None:
        order = torch.randperm(NETWORK_ROWS, device=device)
        for start in range(0, NETWORK_ROWS, BATCH):
            batch = order[start : start + BATCH]
            step(resident_x[batch], resident_y[batch])

    resident()
    return timed_s(with_loader), timed_s(resident)


def _data(count: int, columns: int) -> Any:
    from training.data.table import Column, Rows, TableSchema
    from training.models import FitData

    def side(number: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(number, columns)).astype(np.float32)
        target = (values[:, :4].sum(axis=1) + rng.normal(size=number) > 0).astype(np.int64)
        frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(columns)], copy=False)
        return Rows(frame, target, None)

    names = [f"x{place}" for place in range(columns)]
    schema = TableSchema(
        tuple(Column(name, "numeric", "feature", 0, 2) for name in names), "y", "binary", ("no", "yes"), ()
    )
    return FitData(schema, side(count, 1), side(max(2, count // 100), 2))


def _alone(answer: Any) -> None:
    """One process with two threads, on the same rows."""
    import xgboost as xgb

    data = _data(ROWS, COLUMNS)
    train = xgb.QuantileDMatrix(data.train.frame, data.train.target, nthread=2)
    valid = xgb.QuantileDMatrix(data.validation.frame, data.validation.target, ref=train, nthread=2)
    params = {"nthread": 2, "objective": "binary:logistic", "tree_method": "hist", "learning_rate": 0.1,
              "subsample": 0.8, "colsample_bytree": 0.8}  # fmt: skip
    answer.put(timed_s(lambda: xgb.train(params, train, ROUNDS, [(valid, "validation")], verbose_eval=False)))


def _in_child(work: Callable[[Any], None]) -> float:
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.Queue()
    child = spawn.Process(target=work, args=(answer,))
    child.start()
    seconds = float(answer.get())
    child.join()
    return seconds


class Peak:
    """The most memory that this process's family holds above what it held at the start, shared pages counted once."""

    def __enter__(self) -> Self:
        self.peak_mb, self._over = 0.0, threading.Event()
        self._start_mb = self._now_mb()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak_mb = max(self.peak_mb, self._now_mb() - self._start_mb)

    @staticmethod
    def _now_mb() -> float:
        total = 0.0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                total += process.memory_full_info().pss / 1e6
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return total
