"""Several fits of the same rows: what one is, and who runs them. Here they run one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from training.errors import FitError, JobCancelledError
from training.events import Observer, Phase, SilentObserver
from training.models.base import FitContext, FitData, FittedModel, ModelFamily, Scores
from training.models.pool import Fold, Pool, structure_in, taken
from training.models.steering import steered, steering_rows
from training.spec import ModelSpec

logger = logging.getLogger("training")

LEARNING_SHARE = 0.9
"""Of the time of one fit."""


@dataclass(frozen=True)
class FitTask:
    """One of several fits. Picklable, as are its parts."""

    family: ModelFamily
    spec: ModelSpec
    fold: Fold
    seed: int
    cpus: int = 1
    gpus: int = 0


@dataclass(frozen=True)
class FitOutcome:
    """What became of a task: the model and its scores of the held rows, or the error."""

    fitted: FittedModel | None
    scores: Scores | None
    fit_s: float
    error: Exception | None = None
    score_s: float = 0.0
    """Seconds for the scores, which are in `fit_s` too."""


class FitRunner(Protocol):
    """Runs tasks over one pool. It must not use more CPUs than it was given when it was made.

    Called from one thread. The outcome of a task does not depend on how many run at once, as long as none has a limit.
    """

    @property
    def slots(self) -> int:
        """Tasks that run at once."""

    @property
    def cpus(self) -> int:
        """CPUs that each of them may use."""

    def run(
        self, pool: Pool, tasks: Sequence[FitTask], observer: Observer, deadline: float | None
    ) -> Iterator[tuple[int, FitOutcome]]:
        """Runs the tasks; gives the number of each and its outcome, in the order in which they end.

        Until the deadline (time.monotonic) each task gets its share of the time that is left when it begins, see
        `limit_of`; every task is begun, for an early end still gives a model.

        Raises:
            JobCancelledError: somebody asked the job to stop; then no task goes on.
        """


@dataclass(frozen=True)
class SerialFits:
    """Runs one task after the other in this process."""

    cpus: int = 1
    slots: int = field(default=1, init=False)

    def run(
        self, pool: Pool, tasks: Sequence[FitTask], observer: Observer, deadline: float | None
    ) -> Iterator[tuple[int, FitOutcome]]:
        """Runs the tasks in their order, see FitRunner."""
        for number, task in enumerate(tasks):
            part = ProgressPart(observer, number / len(tasks), 1.0 / len(tasks))
            limit_s = limit_of(deadline, len(tasks) - number, self.slots)
            yield number, run_task(pool, replace(task, cpus=self.cpus), limit_s, part)


def limit_of(deadline: float | None, tasks_left: int, slots: int) -> float | None:
    """Seconds in which a task that begins now should be done with learning; the rest of its share is for reading and
    scoring the rows."""
    if deadline is None:
        return None
    rounds = -(-tasks_left // slots)
    return LEARNING_SHARE * max(0.0, deadline - time.monotonic()) / rounds


def runner_of(context: FitContext) -> FitRunner:
    """Who runs the parts of this fit."""
    return context.runner or SerialFits(context.cpus)


def run_task(pool: Pool, task: FitTask, limit_s: float | None = None, observer: Observer | None = None) -> FitOutcome:
    """Runs one task here; what goes wrong becomes its outcome, so that the other tasks can go on.

    The held-out rows are scored and do nothing else: rows of the fold's own stop the fit early, see `steered`. After
    `limit_s` the fit should return the best so far.

    Raises:
        JobCancelledError: somebody asked the job to stop.
    """
    started = time.monotonic()
    held = taken(pool.rows, task.fold.held)
    data = _fit_data(pool, task)
    context = FitContext(
        seed=task.seed,
        cpus=task.cpus,
        gpus=task.gpus,
        observer=observer or SilentObserver(),
        deadline=None if limit_s is None else started + limit_s,
    )
    try:
        fitted = task.family.fit(task.spec, data, context)
        learnt = time.monotonic()
        scores = _finite(fitted.predictor.predict(held.frame))
    except JobCancelledError:
        raise
    except Exception as error:  # noqa: BLE001  one member's failure, whatever it is, must not end the others
        logger.info("a fit of %s failed: %s: %s", task.spec.family, type(error).__name__, error)
        return FitOutcome(None, None, time.monotonic() - started, error)
    now = time.monotonic()
    return FitOutcome(fitted, scores, now - started, score_s=now - learnt)


def _fit_data(pool: Pool, task: FitTask) -> FitData:
    stops = task.family.stops_early(task.spec)
    fold = steered(pool, task.fold, task.seed) if stops else task.fold
    steering = steering_rows(fold) if stops else np.zeros(0, np.int64)
    validation = taken(pool.rows, steering) if len(steering) else None
    structure = structure_in(pool, fold.learnt, steering)
    return FitData(pool.schema, taken(pool.rows, fold.learnt), validation, structure)


def _finite(scores: Scores) -> Scores:
    if not np.isfinite(scores).all():
        raise FitError("the scores of the held-out rows are not all finite numbers")
    return scores


class ProgressPart:
    """Hears a part of a fit, and tells the observer of the whole how far that is."""

    def __init__(self, whole: Observer, start: float, share: float) -> None:
        self._whole, self._start, self._share = whole, start, share

    def phase(self, phase: Phase) -> None:
        """A part has no phases."""

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Tells the share of the whole. What is left of the part says little of what is left of the whole.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        # rounded, for the end of one part and the start of the next are the same point
        self._whole.progress(round(min(1.0, self._start + self._share * fraction), 9))

    def waiting(self, message: str) -> None:
        """Passes it on."""
        self._whole.waiting(message)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Steps of the parts would overwrite each other."""

    def log(self, message: str) -> None:
        """Passes it on."""
        self._whole.log(message)
