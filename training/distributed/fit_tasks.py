"""The parts of a fit as Ray tasks: more CPUs or more nodes do more of them in the same time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import ray
from ray.exceptions import OutOfMemoryError, RayError
from threadpoolctl import threadpool_limits

from training.errors import FitError
from training.events import Observer
from training.models.parallel import LEARNING_SHARE, FitOutcome, FitTask, limit_of, run_task
from training.models.pool import Pool
from training.releasing import cancel

logger = logging.getLogger("training")

Manners = tuple[int, int]
"""Niceness and scheduling class."""

POLL_S = 0.5
"""How often the observer hears of the progress, and may ask to stop."""


@dataclass(frozen=True)
class RayFits:
    """Runs up to `slots` tasks at once, each on one CPU, or on several where there are fewer tasks than slots.

    The job waits for them in Ray's own calls, so that Ray lends the job's CPUs to its tasks: together they take what
    the job was given. A task whose process dies has an error as its outcome, and the others go on.
    """

    slots: int
    cpus: int = 1

    def run(
        self, pool: Pool, tasks: Sequence[FitTask], observer: Observer, deadline: float | None
    ) -> Iterator[tuple[int, FitOutcome]]:
        """Runs the tasks, see FitRunner."""
        shared = ray.put(pool)
        cpus = max(1, self.slots // max(1, len(tasks)))
        at_once = max(1, self.slots // cpus)
        waiting = list(enumerate(tasks))[::-1]
        running: dict[ray.ObjectRef[FitOutcome], int] = {}
        ways = manners()
        until = None if deadline is None else time.time() + deadline - time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    limit_s = limit_of(deadline, len(waiting), at_once)
                    number, task = waiting.pop()
                    name = f"fit:{task.spec.family}:{number}"
                    made = _task.options(name=name, num_cpus=cpus).remote(
                        shared, replace(task, cpus=cpus), limit_s, ways, until
                    )
                    running[made] = number
                observer.progress((len(tasks) - len(waiting) - len(running)) / len(tasks))
                done, _ = ray.wait(list(running), timeout=POLL_S)
                for reference in done:
                    yield running.pop(reference), _outcome(reference)
        finally:
            for reference in running:
                cancel(reference, force=True)


def ray_fits(cpus: int) -> RayFits | None:
    """A runner for a job that was given so many CPUs; None where there is no cluster, or nothing to run at once."""
    return RayFits(cpus) if cpus > 1 and ray.is_initialized() else None


def _run(pool: Pool, task: FitTask, limit_s: float | None, ways: Manners, until: float | None) -> FitOutcome:
    """The task. The processes that run it have run others.

    `until`: time.time() of the deadline. A task that had to wait for a CPU, or for a process, has less than `limit_s`.
    """
    behave(ways)
    if limit_s is not None and until is not None:
        limit_s = min(limit_s, LEARNING_SHARE * max(0.0, until - time.time()))
    with threadpool_limits(task.cpus):
        return run_task(pool, task, limit_s)


_task = ray.remote(max_retries=0)(_run)


def _outcome(reference: ray.ObjectRef[FitOutcome]) -> FitOutcome:
    try:
        return ray.get(reference)
    except OutOfMemoryError as error:
        logger.info("a fit ran out of memory: %s", error)
        return FitOutcome(None, None, 0.0, FitError("out of memory", hint="ask for more with resources.memory_mb"))
    except RayError as error:
        logger.info("the process of a fit died: %s", error)
        return FitOutcome(None, None, 0.0, FitError(f"its process died ({type(error).__name__})"))


def manners() -> Manners:
    """Niceness and scheduling class of this process, which its tasks take too."""
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0
    return os.getpriority(os.PRIO_PROCESS, 0), policy


def behave(ways: Manners) -> None:
    """Takes the manners of the process that made the task."""
    niceness, policy = ways
    if os.getpriority(os.PRIO_PROCESS, 0) < niceness:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    if hasattr(os, "SCHED_IDLE") and policy == os.SCHED_IDLE != os.sched_getscheduler(0):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
