"""One fit through Ray Train: what the two families have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ray.train import Result
from ray.train.v2.api.config import CheckpointConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError, WorkerGroupError

from training.distributed.base import Spread
from training.distributed.gang import Gang
from training.distributed.losses import Loss, Restarts
from training.distributed.mailbox import Mailbox
from training.distributed.train_control import Control
from training.distributed.train_policy import Budgets, Losses
from training.distributed.watch import Watch
from training.errors import TrainingError
from training.events import Observer

logger = logging.getLogger("training")

RUN_NAME = "train"
"""Of the run below the job's folder: a later attempt at the same job finds its checkpoints by path and name."""
END_TIMEOUT_S = 10.0
KEPT_CHECKPOINTS = 2
"""The newest may be half written when a machine goes."""


class TrainRun:
    """The room, the mailbox, and the trainer of one fit. The room is asked for when this is made."""

    def __init__(self, estimator: str, spread: Spread, observer: Observer) -> None:
        self._estimator, self._spread, self._observer = estimator, spread, observer
        self._losses = Losses()
        self._policy = Budgets(Restarts(spread), self._losses)
        self._stack = ExitStack()
        self._gang = Gang.reserve(spread.label, spread.bundle, spread.min_workers)
        self._stack.callback(self._gang.release)
        self.mailbox = Mailbox.start(spread.label)
        self._stack.callback(self.mailbox.close)
        self._control = Control(self._gang, spread.label, self._policy)
        self._losses.find_dead = self._control.find_dead

    def settings(self) -> dict[str, Any]:
        """Arguments of the trainer: how many workers with what, and where checkpoints go."""
        spread = self._spread
        workers = spread.max_workers if spread.min_workers == spread.max_workers else spread.num_workers
        return {
            "scaling_config": ScalingConfig(
                num_workers=workers, use_gpu=spread.gpus > 0, resources_per_worker=spread.bundle
            ),
            "run_config": RunConfig(
                name=RUN_NAME,
                storage_path=str(spread.folder),
                checkpoint_config=CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS),
                logging_config=LoggingConfig("WARNING"),
            ),
        }

    def fit(self, trainer: DataParallelTrainer, hear: Callable[[Any], None]) -> Result:
        """Trains, and meanwhile passes on what the workers post.

        Raises:
            JobCancelledError: the observer asked for it.
            WorkerLostError: workers were lost too often.
            FitError: a worker's own code raised.
        """
        spread = self._spread
        watch = Watch(
            self.mailbox, self._observer, hear, spread.hang_timeout_s, spread.min_workers, on_hang=self._on_hang,
            pending=lambda: self._gang.pending,
        )  # fmt: skip
        self._losses.started = watch.started
        try:
            self._gang.wait(self._observer)
            return watch.during(lambda: self._control.fit(trainer))
        except TrainingFailedError as error:
            watch.last_look()
            raise self._told(watch, error) from error
        finally:
            self._policy.close()
            self.close()
            watch.join(END_TIMEOUT_S)

    def close(self) -> None:
        """Ends all workers, whatever they are busy with. Many times is as once."""
        self._stack.close()

    def _on_hang(self, loss: Loss) -> None:
        self._losses.hung[loss.rank] = loss
        self._control.kill(loss.rank)

    def _told(self, watch: Watch, error: TrainingFailedError) -> TrainingError:
        if self._policy.lost is not None:
            return self._policy.lost
        cause: BaseException = error
        if isinstance(error, WorkerGroupError) and error.worker_failures:
            cause = next(iter(error.worker_failures.values()))
        elif isinstance(error, ControllerError):
            cause = error.controller_failure
        if isinstance(cause, TrainingError):
            return cause
        return watch.failure(self._estimator, cause)
