"""The process that runs trials, one after the other: a Trainable of Ray Tune."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from threadpoolctl import threadpool_limits

from training.errors import TrainingError
from training.tuning.milestones import MAX_RUNG
from training.tuning.spread_fit import SpreadFit
from training.tuning.work import Trial, TrialOutcome, TrialWork

logger = logging.getLogger("training")

RUNG, SCORE, OUTCOME = "rung", "score", "outcome"
"""Names in a trial's results: the milestone, the score there, more is better, and what the trial found or failed by."""
FAILED_SCORE = -1e308
STOP_TIMEOUT_S = 5.0
"""How long a fit that was ended early may take to notice; one that cannot be interrupted makes its process end."""


@dataclass(frozen=True)
class WorkReference:
    """Where the work lies in the object store. Tune copies configurations deeply; the reference stays the same."""

    reference: ray.ObjectRef[TrialWork]

    def __deepcopy__(self, _memo: dict[int, Any]) -> WorkReference:
        return self


@dataclass(frozen=True)
class Failure:
    """Why a trial has no outcome."""

    message: str
    detail: str = ""
    is_process_death: bool = False
    """Whether the process ended, which may have other causes than the configuration."""


class TrialEndedError(Exception):
    """The scheduler ended the trial early; raised inside its fit."""


class TrialActor(tune.Trainable):
    """Runs trials. The rows are read from the object store once, and what fits can share is kept between trials.

    A fit runs in a thread of its own and waits at each milestone until Tune has decided, so that `step` is one stretch
    of it. A fit that fails is a result and not an error: an error would cost the process.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """The first trial of this process."""
        self._work: TrialWork = ray.get(config["work"].reference)
        _take_priority(self._work.niceness, self._work.policy)
        self._caches: list[dict[Any, Any]] = [{} for _ in self._work.parts]
        self._run = _Run(self._work, config, self._caches)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial. False, and with that a new process, where the last fit does not end."""
        if not self._run.end():
            return False
        self._run = _Run(self._work, new_config, self._caches)
        return True

    def step(self) -> dict[str, Any]:
        """On to the next milestone, or to the end."""
        return self._run.next()

    def cleanup(self) -> None:
        """The process is to end."""
        self._run.end()


class _Run:
    """A trial in its thread."""

    def __init__(self, work: TrialWork, config: dict[str, Any], caches: list[dict[Any, Any]]) -> None:
        self._results: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._go = threading.Semaphore(0)
        self._ended = False
        left_s = None if config["until"] is None else config["until"] - time.time()
        deadline = None if left_s is None else time.monotonic() + left_s
        self._cpus, self._is_spread = work.cpus, isinstance(work.fit, SpreadFit)
        self._trial = Trial(work, config["number"], config["config"], caches, deadline, config["stage"])
        self._thread = threading.Thread(target=self._work, name=f"trial-{config['number']}", daemon=True)
        self._is_started = False

    def next(self) -> dict[str, Any]:
        """Lets the fit go on, and answers what it says next."""
        if self._is_spread:
            # workers are led from the main thread, and are compared at the end only
            self._work()
        elif self._is_started:
            self._go.release()
        else:
            self._is_started = True
            self._thread.start()
        return self._results.get()

    def end(self) -> bool:
        """Ends the fit where it waits; whether it has ended."""
        self._ended = True
        self._go.release()
        if self._is_started:
            self._thread.join(STOP_TIMEOUT_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            with threadpool_limits(limits=self._cpus):
                outcome = self._trial.run(self._at_milestone)
        except TrialEndedError:
            return
        except TrainingError as error:
            self._finish(Failure(str(error)), FAILED_SCORE)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the trial's failure, not the study's
            self._finish(Failure(f"{type(error).__name__}: {error}", traceback.format_exc()), FAILED_SCORE)
        else:
            self._finish(outcome, outcome.score)

    def _finish(self, outcome: TrialOutcome | Failure, score: float) -> None:
        self._results.put({RUNG: MAX_RUNG, SCORE: score, OUTCOME: outcome, "done": True})

    def _at_milestone(self, rung: int, score: float) -> None:
        self._results.put({RUNG: rung, SCORE: score, OUTCOME: self._trial.progress()})
        self._go.acquire()
        if self._ended:
            raise TrialEndedError


def _take_priority(niceness: int, policy: int) -> None:
    """As the job that the trials are of: what answers people goes first."""
    if os.getpriority(os.PRIO_PROCESS, 0) < niceness:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    if hasattr(os, "SCHED_IDLE") and policy == os.SCHED_IDLE:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
