"""What each worker of Ray Train does in a boosting run."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import xgboost as xgb
from ray.train import Checkpoint
from ray.train.backend import Backend
from ray.train.v2.xgboost.config import XGBoostConfig
from ray.train.xgboost.config import _set_xgboost_args
from xgboost import collective

from training.distributed.messages import Failed, Started
from training.distributed.train_notice import interval_s
from training.distributed.xgboost_tracker import Tracker
from training.distributed.xgboost_worker import BoostingTask, Matrices, WorkerBoosting
from training.models.xgboost_training import CHECKPOINT_FILE, BoostingState

STATE_FILE = "state.json"


def boost(config: dict[str, Any]) -> None:
    """The function of the trainer; `config["task"]` is a BoostingTask."""
    task: BoostingTask = config["task"]
    context = ray.train.get_context()
    rank = context.get_world_rank()
    task.mailbox.post(Started.here(rank))
    task.mailbox.keep_beating(rank)
    try:
        _boost(_resumed(task), rank, context.get_world_size())
    except Exception as error:
        task.mailbox.deliver(Failed.of(rank, error))
        raise


def _boost(task: BoostingTask, rank: int, workers: int) -> None:
    if task.rounds_left <= 0:
        return
    matrices = Matrices(rank, workers)
    train = matrices.of(task, task.train)
    evals = [(matrices.of(task, task.validation), "validation")] if task.validation else []
    xgb.train(
        task.run_params(), train, task.rounds_left, evals=evals, verbose_eval=False,
        xgb_model=bytearray(task.model) if task.model else None, callbacks=[WorkerBoosting(task, TrainSaves(task))],
    )  # fmt: skip


def _resumed(task: BoostingTask) -> BoostingTask:
    """The task after the last checkpoint of this run, where there is one that is further."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return task
    with checkpoint.as_directory() as folder:
        saved = json.loads((Path(folder) / STATE_FILE).read_text())
        model = (Path(folder) / CHECKPOINT_FILE).read_bytes()
    state = BoostingState(**saved["state"])
    if saved["fingerprint"] != task.setup.fingerprint or state.rounds <= task.state.rounds:
        return task
    return replace(task, model=model, state=state)


class TrainSaves:
    """Checkpoints through Ray Train: all workers report together, the one of rank 0 brings the trees."""

    def __init__(self, task: BoostingTask) -> None:
        self._task = task
        self._last: float | None = None

    def save_if_due(self, booster: xgb.Booster, state: BoostingState) -> None:
        """Saves when the interval is over; one worker decides for all."""
        now = time.monotonic()
        if self._last is None:
            self._last = now
        if not collective.broadcast(now - self._last >= interval_s(self._task.checkpoint_every_s), 0):
            return
        self._last = now
        if collective.get_rank() != 0:
            ray.train.report({"rounds": state.rounds})
            return
        with tempfile.TemporaryDirectory(prefix="mts-checkpoint-") as folder:
            booster.save_model(Path(folder) / CHECKPOINT_FILE)
            saved = {"fingerprint": self._task.setup.fingerprint, "state": asdict(state)}
            (Path(folder) / STATE_FILE).write_text(json.dumps(saved))
            ray.train.report({"rounds": state.rounds}, checkpoint=Checkpoint.from_directory(folder))


class TrackerBackend(Backend):
    """XGBoost's tracker in a process of its own: in Ray Train's, it cannot be ended after a worker has died."""

    def __init__(self) -> None:
        self._tracker: Tracker | None = None

    def on_training_start(self, worker_group: Any, backend_config: Any) -> None:
        """Tells the workers where the tracker is."""
        self._tracker = backend_config.next_tracker()
        worker_group.execute(_find_tracker, self._tracker.arguments(len(worker_group)))

    def on_shutdown(self, worker_group: Any, backend_config: Any) -> None:
        """Ends it."""
        if self._tracker is not None:
            self._tracker.stop()
            self._tracker = None


def _find_tracker(arguments: dict[str, Any]) -> None:
    rank = ray.train.get_context().get_world_rank()
    # by rank, so that the order of sums does not depend on chance
    _set_xgboost_args(arguments | {"dmlc_task_id": f"{rank:06d}"})  # type: ignore[no-untyped-call]
    xgb.set_config(verbosity=0)


@dataclass
class TrackerConfig(XGBoostConfig):
    """XGBoost's communication, with our tracker. `early`: one that the first start of the workers finds up."""

    early: Tracker | None = None

    @property
    def backend_cls(self) -> type[Backend]:
        """The backend."""
        return TrackerBackend

    def next_tracker(self) -> Tracker:
        """For one start of the workers."""
        tracker, self.early = self.early or Tracker(), None
        return tracker

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is told: a process cannot travel."""
        return self.__dict__ | {"early": None}
