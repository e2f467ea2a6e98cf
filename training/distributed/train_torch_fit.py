"""One fit of networks through Ray Train."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ray.train.v2.torch.torch_trainer import TorchTrainer
from safetensors.torch import load

from training.data.table import Rows
from training.distributed.base import Spread
from training.distributed.connection import ensure_connected
from training.distributed.messages import Finished, Share, Step
from training.distributed.shards import Shards, write_shards
from training.distributed.train_control import steered
from training.distributed.train_run import TrainRun
from training.distributed.train_torch_worker import NetworkTask, train
from training.distributed.xgboost_driver import check_rows
from training.errors import FitError
from training.models import FitContext, FitData, FittedModel
from training.models.fitting import fit_errors
from training.models.torch_fitting import NetworkSetup, fitted_model, scaled_target, set_up
from training.models.torch_params import check_params
from training.models.torch_training import Training
from training.mts_scoring.network_base import Inputs
from training.spec import ModelSpec, TorchSpec

CHECKPOINT_EVERY_S = 30.0


def fit(spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
    """Fits, see Engine."""
    if not isinstance(spec, TorchSpec):
        raise TypeError(f"the torch family takes a TorchSpec, not {type(spec).__name__}")
    params = check_params(spec.architecture, spec.params, data.schema.task)
    check_rows(data, spread)
    ensure_connected()
    with ExitStack() as stack, fit_errors("torch", RuntimeError):
        train_run = TrainRun("torch", spread, context.observer)
        stack.callback(train_run.close)
        setup = set_up(spec.architecture, params, data, context.seed)
        training_rows, validation_rows = stack.enter_context(_shards(data, setup, spread))
        task = NetworkTask(
            setup, training_rows, validation_rows, spread.cpus, train_run.mailbox,
            left_s=None if context.deadline is None else context.deadline - time.monotonic(),
            checkpoint_every_s=CHECKPOINT_EVERY_S,
        )  # fmt: skip
        trainer = steered(TorchTrainer)(train, train_loop_config={"task": task}, **train_run.settings())
        ends = Ends(context)
        train_run.fit(trainer, ends.hear)
        return ends.fitted(setup)


class Ends:
    """Passes on what the worker of rank 0 tells, and keeps what it gives at the end."""

    def __init__(self, context: FitContext) -> None:
        self._observer = context.observer
        self._result: tuple[list[bytes], list[tuple[Any, ...]]] | None = None

    def hear(self, message: Any) -> None:
        """Takes what a worker has posted.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        match message:
            case Step(done, metrics):
                self._observer.metrics(metrics, done)
            case Share(fraction, eta_s):
                self._observer.progress(fraction, eta_s)
            case Finished(state):
                self._result = state

    def fitted(self, setup: NetworkSetup) -> FittedModel:
        """The model of the networks that were trained."""
        if self._result is None:
            raise FitError("torch: the workers ended without a network", hint="the job's log has their last lines")
        weights, trainings = self._result
        networks = []
        for held in weights:
            network = setup.plan.build(0, Inputs.of(setup.start))
            network.load_state_dict(load(held))
            networks.append(network)
        return fitted_model(setup, networks, [Training(*training) for training in trainings])


@contextmanager
def _shards(data: FitData, setup: NetworkSetup, spread: Spread) -> Iterator[tuple[Shards, Shards | None]]:
    """Both sides, encoded, in a folder that is removed at the end."""
    folder = spread.folder / "shards"
    try:
        validation = data.validation if data.validation is not None and len(data.validation) else None
        training = _write(folder / "train.parquet", data.train, setup, spread)
        yield training, _write(folder / "validation.parquet", validation, setup, spread) if validation else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(file: Path, rows: Rows, setup: NetworkSetup, spread: Spread) -> Shards:
    encoder = setup.encoder
    weight = None if rows.weight is None else rows.weight / np.mean(rows.weight)
    target: Any = scaled_target(setup, rows.target)
    columns = encoder.num_numbers + encoder.num_flags + len(encoder.category_shares)
    return write_shards(
        file, replace(rows, target=target, weight=weight), lambda frame: encoder.transform(frame)._asdict(),
        num_columns=columns, workers=spread.max_workers,
    )  # fmt: skip
