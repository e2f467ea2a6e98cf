"""What a worker does in a boosting run that is spread: its matrices, and the callback that reports for all of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import xgboost as xgb
from xgboost import collective

from training.data.memory import give_back
from training.distributed.mailbox import Mailbox
from training.distributed.messages import Finished, Saved, Step
from training.distributed.shards import TARGET, WEIGHT, Shards
from training.models.fitting import REPORTS_PER_S
from training.models.xgboost_model import BoostingSetup
from training.models.xgboost_training import CHECKPOINT_EVERY_S, Boosting, BoostingState, StateSaver

MATRIX = "matrix"
"""Name of the encoded features among the columns of a shard."""


@dataclass(frozen=True)
class BoostingTask:
    """What every worker is given; picklable. `left_s`: of the job's time budget when the workers start."""

    setup: BoostingSetup
    train: Shards
    validation: Shards | None
    cpus: int
    gpus: int
    mailbox: Mailbox
    left_s: float | None
    state: BoostingState
    model: bytes | None = None
    """The trees so far; None at the start."""
    checkpoint_every_s: float = CHECKPOINT_EVERY_S
    external: bool = False
    """Whether the matrices stay on disk, because they do not fit into a worker's memory."""

    @property
    def rounds_left(self) -> int:
        """Rounds still to do."""
        return self.setup.rounds - self.state.rounds

    def run_params(self) -> dict[str, Any]:
        """For `xgb.train`."""
        return self.setup.run_params(cpus=self.cpus, gpus=self.gpus, first_round=self.state.rounds)


class ShardBatches(xgb.DataIter):  # type: ignore[misc]  # xgboost ships no types
    """Feeds row groups to a matrix, one in memory at a time; XGBoost passes over them several times."""

    def __init__(self, shards: Shards, groups: range, task: BoostingTask, cache: str | None) -> None:
        super().__init__(cache_prefix=cache)
        self._shards, self._groups = shards, groups
        self._types = ["c" if categorical else "q" for categorical in task.setup.encoder.is_categorical]
        self._next = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hands over one group; False when there is none left."""
        if self._next >= len(self._groups):
            return False
        [arrays] = self._shards.read(self._groups[self._next : self._next + 1])
        self._next += 1
        input_data(
            data=arrays[MATRIX], label=arrays[TARGET], weight=arrays.get(WEIGHT), feature_types=self._types
        )  # fmt: skip
        return True

    def reset(self) -> None:
        """Goes back to the first group."""
        self._next = 0


class Matrices:
    """The quantised matrices of one worker; validation rows take the bins of the training rows."""

    def __init__(self, rank: int, workers: int) -> None:
        self._rank, self._workers = rank, workers
        self._train: xgb.DMatrix | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def of(self, task: BoostingTask, shards: Shards) -> xgb.DMatrix:
        """The worker's part. All workers must call this together, for the training rows first."""
        is_train = self._train is None
        cache = self._cache("train" if is_train else "validation") if task.external else None
        batches = ShardBatches(shards, shards.of_worker(self._rank, self._workers), task, cache)
        kind = xgb.ExtMemQuantileDMatrix if cache else xgb.QuantileDMatrix
        max_bin = int(task.setup.params.get("max_bin", 256))
        matrix = kind(batches, ref=self._train, nthread=task.cpus, max_bin=max_bin, enable_categorical=True)
        if is_train:
            self._train = matrix
        give_back()
        return matrix

    def _cache(self, side: str) -> str:
        """Where XGBoost puts the pages of a matrix, on this node; gone with the process."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="mts-pages-")
        return f"{self._folder.name}/{side}"


class Reports:
    """Tells of the rounds, for the worker of rank 0; all workers learn from it when the time is over."""

    def __init__(self, task: BoostingTask) -> None:
        self._mailbox = task.mailbox
        self._left_s = task.left_s
        self._deadline: float | None = None
        self._next = 0.0
        self._unsaid: Step | None = None

    def step(self, done: int, metrics: Mapping[str, float]) -> bool:
        """Whether to stop for the deadline: one worker decides, or the others would wait for it for ever."""
        now = time.monotonic()
        self._unsaid = Step(done, dict(metrics))
        if now >= self._next:
            self._next = now + 1.0 / REPORTS_PER_S
            self.flush()
        if self._left_s is None:
            return False
        if self._deadline is None:
            self._deadline = now + self._left_s
        return bool(collective.broadcast(now >= self._deadline, 0))

    def flush(self) -> None:
        """Tells of the last round, where that is still to do."""
        if self._unsaid is not None and collective.get_rank() == 0:
            self._mailbox.post(self._unsaid)
        self._unsaid = None


class Saves:
    """Posts the trees now and then, for the worker of rank 0."""

    def __init__(self, task: BoostingTask) -> None:
        self._mailbox, self._every_s = task.mailbox, task.checkpoint_every_s
        self._next: float | None = None

    def save_if_due(self, booster: xgb.Booster, state: BoostingState) -> None:
        """Saves when the interval is over; the first one begins with the first round."""
        now = time.monotonic()
        if self._next is None:
            self._next = now + self._every_s
        if collective.get_rank() == 0 and now >= self._next:
            self._next = now + self._every_s
            self._mailbox.post(Saved(bytes(booster.save_raw("ubj")), BoostingState(**asdict(state))))


class WorkerBoosting(Boosting):
    """The callback of a local fit, with reports and checkpoints that go to the other side."""

    def __init__(self, task: BoostingTask, saves: StateSaver | None = None) -> None:
        state = BoostingState(**asdict(task.state))
        self._reports = Reports(task)
        super().__init__(task.setup.plan, task.setup.patience, self._reports, saves or Saves(task), state)
        self._mailbox = task.mailbox

    def after_training(self, model: Any) -> Any:
        """Posts how the run ended."""
        self._reports.flush()
        if collective.get_rank() == 0:
            self._mailbox.deliver(Finished(self.state, bytes(model.save_raw("ubj"))))
        return model
