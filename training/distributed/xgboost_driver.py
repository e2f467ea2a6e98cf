"""The side of a spread boosting run that starts the workers: their rows, what they report, and the model at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import xgboost as xgb

from training.data.table import Rows
from training.distributed.base import Spread
from training.distributed.mailbox import Mailbox
from training.distributed.messages import Finished, Saved, Step
from training.distributed.shards import Shards, write_shards
from training.distributed.xgboost_worker import MATRIX, BoostingTask
from training.errors import FitError, SpecError
from training.models import FitContext, FitData, FittedModel
from training.models.fitting import FitReporter
from training.models.xgboost_model import BoostingSetup, fitted_model
from training.models.xgboost_training import CHECKPOINT_EVERY_S, BoostingState, Checkpoints


@dataclass
class BoostingRun:
    """One fit, over all starts of its workers."""

    setup: BoostingSetup
    data: FitData
    context: FitContext
    spread: Spread
    checkpoint_every_s: float = CHECKPOINT_EVERY_S
    state: BoostingState = field(default_factory=BoostingState)
    model: bytes | None = None
    """The trees of `state`."""
    finished: bool = False

    def __post_init__(self) -> None:
        self._checkpoints = Checkpoints(self.context.checkpoint_folder, self.setup.fingerprint)
        booster, self.state = self._checkpoints.load() or (None, self.state)
        self.model = bytes(booster.save_raw("ubj")) if booster else None
        self._reporter = FitReporter(self.context, self.setup.rounds, first_step=self.state.rounds)

    @property
    def is_over(self) -> bool:
        """Whether no round is left."""
        return self.finished or self.state.rounds >= self.setup.rounds

    def task(self, train: Shards, validation: Shards | None, mailbox: Mailbox) -> BoostingTask:
        """What the workers of the next start are given."""
        deadline = self.context.deadline
        return BoostingTask(
            setup=self.setup, train=train, validation=validation, cpus=self.spread.cpus, gpus=self.spread.gpus,
            mailbox=mailbox, left_s=None if deadline is None else deadline - time.monotonic(),
            state=replace(self.state), model=self.model, checkpoint_every_s=self.checkpoint_every_s,
        )  # fmt: skip

    def hear(self, message: Any) -> None:
        """Takes what a worker has posted.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        match message:
            case Step(done, metrics):
                self._reporter.step(done, metrics)
            case Saved(model, state):
                self.model, self.state = model, state
                self._checkpoints.save(self._booster(), state)
            case Finished(state, model):
                self.model, self.state, self.finished = model, state, True

    def fitted(self) -> FittedModel:
        """The model at the end."""
        if self.model is None:
            raise FitError("xgboost: the workers ended without a model", hint="the job's log has their last lines")
        self._reporter.finish()
        return fitted_model(self.setup, self._booster(), BoostingState(**asdict(self.state)))

    def _booster(self) -> xgb.Booster:
        assert self.model is not None  # noqa: S101 - called where there is one
        return xgb.Booster(model_file=bytearray(self.model))


@contextmanager
def shards_of(data: FitData, setup: BoostingSetup, spread: Spread) -> Iterator[tuple[Shards, Shards | None]]:
    """Both sides, encoded, in a folder that is removed at the end.

    Raises:
        SpecError: there are more workers than rows.
        UnavailableError: the folder cannot be written.
    """
    check_rows(data, spread)
    folder = spread.folder / "shards"
    try:
        validation = data.validation if data.validation is not None and len(data.validation) else None
        train = _write(folder / "train.parquet", data.train, setup, spread)
        yield train, _write(folder / "validation.parquet", validation, setup, spread) if validation else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_rows(data: FitData, spread: Spread) -> None:
    """Refuses workers that would have nothing to do.

    Raises:
        SpecError: there are fewer rows than workers.
    """
    sides = {"training": len(data.train), "validation": len(data.validation) if data.validation is not None else 0}
    for side, rows in sides.items():
        if 0 < rows < spread.max_workers:
            raise SpecError.at(
                "resources.num_workers",
                spread.max_workers,
                f"{spread.max_workers} workers share {rows} {side} rows",
                hint="a worker needs at least one row; so small a table is fitted fastest by one worker",
            )


def _write(file: Path, rows: Rows, setup: BoostingSetup, spread: Spread) -> Shards:
    encoder = setup.encoder
    return write_shards(
        file, rows, lambda frame: {MATRIX: encoder.transform(frame)},
        num_columns=len(encoder.names), workers=spread.max_workers,
    )  # fmt: skip
