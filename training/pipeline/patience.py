"""Waits for a registry that is away when a fit is over: the model in memory is worth hours."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from training.errors import UnavailableError
from training.pipeline.job import Job

logger = logging.getLogger("training")

T = TypeVar("T")

AWAY_S = 900.0
"""How long a registry may be away. A server that is upgraded is back in minutes; the job holds its CPUs meanwhile."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between two tries; each pause is twice the one before."""
LOOK_EVERY_S = 0.5
"""Between two looks at whether the job is to stop."""


def once_back(job: Job, work: Callable[[], T]) -> T:
    """Does the work, and does it again for as long as the registry is away. What was done of it is done again.

    Raises:
        UnavailableError: the registry stayed away for AWAY_S, or until the time of the job was over.
        JobCancelledError: somebody asked the job to stop.
    """
    give_up = time.monotonic() + AWAY_S
    if job.deadline is not None:
        give_up = min(give_up, job.deadline)
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            found = work()
        except UnavailableError as error:
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                raise
            logger.warning("%s; the model is kept and registered as soon as the registry is back", error.message)
            _wait(job, min(pause_s, left_s), give_up)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            # nothing that a wish to stop could interrupt: the version is there
            return found


def _wait(job: Job, pause_s: float, give_up: float) -> None:
    """Returns after the pause at the earliest, and when the registry answers or it is time to give up."""
    earliest = time.monotonic() + pause_s
    while time.monotonic() < earliest or (job.workplace.registry.is_away() and time.monotonic() < give_up):
        job.watch.observer.waiting("waiting for the registry, to register the model")
        time.sleep(LOOK_EVERY_S)
    job.watch.observer.waiting("")
