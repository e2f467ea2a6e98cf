"""Fits that are spread over two workers: how soon they begin, how fast they are, and how much memory they take.

The baselines: Ray Train's own trainers for the start, with the plainest function that trains anything, one process
with two threads for boosting, the same fit in memory for the one on disk, a plain `DataLoader` loop and one worker for
networks. Each row is a ratio within one run; on a busy machine repeat it.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peak_memory import Peak
from benchmarks.report import Row, timed_s
from training.events import SilentObserver

ROWS, COLUMNS, ROUNDS = 3_000_000, 20, 30
ALLOWED_MB = 40
"""Of memory for each of two workers: a sixth of the encoded rows, so that their bins stay on disk."""
NETWORK_ROWS, NETWORK_COLUMNS, BATCH = 200_000, 32, 1024
EPOCHS = 4


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
    from ray.train.torch import TorchTrainer
    from ray.train.xgboost import XGBoostTrainer

    from training.spec import TorchSpec, XGBoostSpec

    boosting = XGBoostSpec(params={"n_estimators": 5})
    network = TorchSpec(architecture="mlp", params={"max_epochs": 1, "n_seeds": 1, "hidden_sizes": [16]})
    data = _data(2_000, 8)
    cases = [
        ("xgboost-ray", "xgboost_ray", boosting, XGBoostTrainer),
        ("XGBoost, Ray Train", "ray_train", boosting, XGBoostTrainer),
        ("PyTorch, Ray Train", "ray_train", network, TorchTrainer),
    ]
    found: list[Row] = []
    for number, (name, engine, spec, trainer) in enumerate(cases):
        # once for what is loaded once: the service's processes are warm
        _fit(engine, spec, data, folder)
        ours = min(_fit(engine, spec, data, folder).first_s for _ in range(2))
        theirs = min(_stock_s(trainer, f"stock-{number}-{turn}", folder) for turn in range(2))
        found.append(Row(f"start of two workers, {name}", ours, theirs, "s", 0.6, "to the first round or batch"))
    return found


def _stock_s(trainer: Any, name: str, folder: Path) -> float:
    """Seconds until a worker of Ray Train's own trainer has done its first round or batch."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.xgboost import XGBoostTrainer

    mark = folder / f"begun-{name}"
    train = _stock_round if trainer is XGBoostTrainer else _stock_batch
    started = time.time()
    trainer(train, train_loop_config={"mark": mark}, scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(name=name, storage_path=str(folder / "stock"))).fit()  # fmt: skip
    return mark.stat().st_mtime - started


def _stock_round(config: dict[str, Any]) -> None:
    """A round of boosting over both workers."""
    import xgboost as xgb

    rng = np.random.default_rng(0)
    values = rng.standard_normal((1_000, 8), dtype=np.float32)
    rows = xgb.QuantileDMatrix(values, values[:, 0] > 0)
    xgb.train({"objective": "binary:logistic", "nthread": 1}, rows, 1, evals=[(rows, "train")], verbose_eval=False)
    config["mark"].touch()


def _stock_batch(config: dict[str, Any]) -> None:
    """A batch of a network over both workers."""
    import torch
    from ray.train.torch import prepare_model
    from torch import nn

    network = prepare_model(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)))
    optimizer = torch.optim.AdamW(network.parameters())
    values = torch.randn(256, 8)
    nn.functional.cross_entropy(network(values), (values[:, 0] > 0).long()).backward()
    optimizer.step()
    config["mark"].touch()


def _boosting(folder: Path) -> list[Row]:
    from training.spec import XGBoostSpec

    spec = XGBoostSpec(params={"n_estimators": ROUNDS, "learning_rate": 0.1, "early_stopping_rounds": 0})
    with Peak() as alone_mb:
        alone_s = _in_child()
    # as the child, this process makes the rows while it is watched
    with Peak() as spread_mb:
        data = _data(ROWS, COLUMNS)
        spread = _fit("xgboost_ray", spec, data, folder)
    on_disk = _fit("xgboost_ray", spec, data, folder, memory_mb=ALLOWED_MB)
    size = f"{ROWS:,} x {COLUMNS}, {ROUNDS} rounds"
    table_mb = data.train.frame.memory_usage().sum() / 1e6
    return [
        Row("boosting, two one-thread workers", spread.rounds_s, alone_s, "s", 1.15, f"{size}; first to last round"),
        Row("its peak memory, all processes", spread_mb.peak_mb, alone_mb.peak_mb, "MB", 1.5,
            f"each with the table of {table_mb:.0f} MB"),
        Row("its bins on disk, whole fit", on_disk.total_s, spread.total_s, "s", 3.0,
            f"{table_mb:.0f} MB of rows, {2 * ALLOWED_MB} MB allowed"),
    ]  # fmt: skip


def _networks(folder: Path) -> list[Row]:
    from training.spec import TorchSpec

    common = {"max_epochs": EPOCHS, "n_seeds": 1, "batch_size": BATCH, "patience": 0}
    small = {"hidden_sizes": [64], "activation": "relu", "dropout": 0.0, "numeric_embeddings": "none"}
    plain = TorchSpec(architecture="mlp", params=common | small)
    large = TorchSpec(architecture="mlp", params=common | {"hidden_sizes": [256, 256]})
    data = _data(NETWORK_ROWS, NETWORK_COLUMNS)
    loader_s, device = _loader_epoch_s(plain, data)
    resident_s = _fit("local", plain, data, folder, gpus=int(device == "cuda")).round_s
    one, two = (_fit(engine, large, data, folder).round_s for engine in ("local", "ray_train"))
    return [
        Row("an epoch, DataLoader / ours", resident_s, loader_s, "s", 1 / 3, f"the same small network, on {device}"),
        Row("an epoch, one worker / two", two, one, "s", 1 / 1.5, "one thread each"),
    ]


class Times(SilentObserver):
    """When rounds or epochs were done."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self._told: list[tuple[float, int]] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """A round or an epoch is done."""
        self._told.append((time.perf_counter(), step or 0))

    def end(self) -> None:
        """The fit is over."""
        self.total_s = time.perf_counter() - self.started

    @property
    def first_s(self) -> float:
        """To the first of them."""
        return self._told[0][0] - self.started

    @property
    def rounds_s(self) -> float:
        """From the first to the last."""
        return self._told[-1][0] - self._told[0][0]

    @property
    def round_s(self) -> float:
        """Of one."""
        return self.rounds_s / (self._told[-1][1] - self._told[0][1])


def _fit(
    engine: str, spec: Any, data: Any, folder: Path, *, memory_mb: int | None = None, gpus: int = 0
) -> Times:  # fmt: skip
    """One fit, in a folder of its own: Ray Train would go on from the checkpoints of the one before."""
    from threadpoolctl import threadpool_limits

    from training.distributed import ENGINES, Spread
    from training.models import FitContext

    family = "" if engine == "local" else spec.family
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work, threadpool_limits(1):
        spread = Spread((2, 2), 1, gpus, memory_mb, "train:benchmark:job", Path(work))
        times = Times()
        ENGINES[engine, family].fit(spec, data, FitContext(gpus=gpus, observer=times), spread)
        times.end()
    return times


def _loader_epoch_s(spec: Any, data: Any) -> tuple[float, str]:
    """An epoch of the same network by a plain DataLoader, after one to warm up, and the device."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from training.models.torch_fitting import network_rows, set_up
    from training.models.torch_params import check_params
    from training.mts_scoring.network_base import Inputs

    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    setup = set_up("mlp", check_params("mlp", spec.params, "binary"), data, seed=0)
    held = network_rows(setup, data.train, torch.device("cpu"))
    network = setup.plan.build(0, held.inputs).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    loader = DataLoader(TensorDataset(*held.inputs, held.target), batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        for *parts, wanted in loader:
            optimizer.zero_grad()
            outputs = network(Inputs(*(part.to(device) for part in parts)))[:, 0]
            torch.nn.functional.cross_entropy(outputs, wanted.to(device)).backward()
            optimizer.step()

    epoch()
    return timed_s(epoch), device.type


def _data(count: int, columns: int) -> Any:
    from training.data.table import Column, Rows, TableSchema
    from training.models import FitData

    def side(number: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((number, columns), dtype=np.float32)
        target = (values[:, :4].sum(axis=1) + rng.normal(size=number) > 0).astype(np.int64)
        frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(columns)], copy=False)
        return Rows(frame, target, None)

    names = [f"x{place}" for place in range(columns)]
    schema = TableSchema(
        tuple(Column(name, "numeric", "feature", 0, 2) for name in names), "y", "binary", ("no", "yes"), ()
    )
    return FitData(schema, side(count, 1), side(max(2, count // 100), 2))


def _alone() -> float:
    """One process with two threads, on the same rows; seconds from the first round to the last."""
    import xgboost as xgb

    data = _data(ROWS, COLUMNS)
    train = xgb.QuantileDMatrix(data.train.frame, data.train.target, nthread=2)
    valid = xgb.QuantileDMatrix(data.validation.frame, data.validation.target, ref=train, nthread=2)
    params = {"nthread": 2, "objective": "binary:logistic", "tree_method": "hist", "learning_rate": 0.1,
              "subsample": 0.8, "colsample_bytree": 0.8}  # fmt: skip
    done: list[float] = []

    class Rounds(xgb.callback.TrainingCallback):  # type: ignore[misc]  # xgboost ships no types
        def after_iteration(self, *_: Any) -> bool:
            done.append(time.perf_counter())
            return False

    xgb.train(params, train, ROUNDS, evals=[(valid, "validation")], verbose_eval=False, callbacks=[Rounds()])
    return done[-1] - done[0]


def _in_child() -> float:
    """Above, in a process of its own: what it held is gone with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_alone).result()
