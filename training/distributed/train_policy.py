"""When Ray Train starts its workers again, and what is told where it does not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2._internal.execution.failure_handling.default import RETRYABLE_CONTROLLER_ERRORS
from ray.train.v2._internal.execution.failure_handling.failure_policy import FailureDecision, FailurePolicy
from ray.train.v2.api.config import FailureConfig
from ray.train.v2.api.exceptions import ControllerError, PreemptionError, TrainingFailedError, WorkerGroupError

from training.distributed.losses import Loss, LossKind, Restarts
from training.distributed.messages import Started
from training.distributed.ray_errors import DEATHS, cause_of_death, verdict
from training.errors import WorkerLostError

logger = logging.getLogger("training")

DEATH_NOTICE_S = 3.0
"""A worker that lost its peer raises before Ray says that the peer is dead; so long the dead one is looked for."""


@dataclass
class Losses:
    """What is known of the workers beside what Ray Train says. `alive`: asks each rank; None for one that is dead."""

    started: Mapping[int, Started] = field(default_factory=dict)
    hung: dict[int, Loss] = field(default_factory=dict)
    find_dead: Callable[[float], tuple[int, BaseException] | None] = lambda _timeout_s: None


class Budgets(FailurePolicy):
    """Starts again after a loss while its budget lasts; what a worker's own code raises is never tried again."""

    def __init__(self, restarts: Restarts, losses: Losses) -> None:
        super().__init__(FailureConfig())
        self._restarts, self._losses = restarts, losses
        self._closed = threading.Event()
        self.lost: WorkerLostError | None = None
        """Why it gave up, where it was for a loss."""

    def close(self) -> None:
        """From now on nothing is started again."""
        self._closed.set()

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        """Asked by the controller, in its thread."""
        if self._closed.is_set():
            return FailureDecision.RAISE
        loss = self._loss(training_failed_error)
        if loss is None:
            return FailureDecision.RAISE
        try:
            logger.warning("%s", self._restarts.spend(loss))
        except WorkerLostError as error:
            self.lost = error
            return FailureDecision.RAISE
        return FailureDecision.RETRY

    def _loss(self, error: TrainingFailedError) -> Loss | None:
        """Which worker was lost; None where none was."""
        if isinstance(error, PreemptionError):
            ranks = sorted(error.preemption_info.preempted_ranks)
            return self._known(ranks[0] if ranks else 0, "node", "the cloud takes the node back")
        if isinstance(error, ControllerError):
            cause = error.controller_failure
            if not isinstance(cause, (*RETRYABLE_CONTROLLER_ERRORS, *DEATHS)):
                return None
            return Loss("died", 0, "", 0, cause_of_death(cause.__cause__ or cause) or "the workers did not start")
        return self._of_workers(error.worker_failures) if isinstance(error, WorkerGroupError) else None

    def _of_workers(self, failures: Mapping[int, Exception]) -> Loss | None:
        if self._losses.hung:
            return self._losses.hung.popitem()[1]
        for rank, failure in failures.items():
            if isinstance(failure, WorkerHealthCheckTimeoutError):
                return self._known(rank, "hung")
            if isinstance(failure, WorkerHealthCheckFailedError):
                return self._dead(rank, failure.health_check_failure)
        found = self._losses.find_dead(DEATH_NOTICE_S)
        return self._dead(*found) if found else None

    def _dead(self, rank: int, cause: BaseException) -> Loss:
        known = self._losses.started.get(rank)
        said = verdict(lambda: cause, known.node_id if known else None)
        return self._known(rank, "node" if said.with_node else "died", cause_of_death(cause))

    def _known(self, rank: int, kind: LossKind, detail: str = "") -> Loss:
        known = self._losses.started.get(rank)
        return Loss(kind, rank, known.host if known else "", known.pid if known else 0, detail)
