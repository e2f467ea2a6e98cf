"""The task that runs one attempt at a job, in a worker process that has run others before and will run more."""

from __future__ import annotations

import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable
from typing import Any

import ray
from ray.actor import ActorHandle
from threadpoolctl import threadpool_limits

from ray_app.dispatcher.failures import raised
from ray_app.dispatcher.link import Link
from ray_app.dispatcher.messages import Assignment, Broken, Done, Outcome, Place, Stopped, Whereabouts
from ray_app.dispatcher.processes import own_start_s
from ray_app.dispatcher.reporter import Reporter
from ray_app.dispatcher.runner import load_runner
from ray_app.dispatcher.scratch import clear_scratch, scratch
from ray_app.services.tracing import attempt_spans
from training.errors import JobCancelledError, TrainingError, UnavailableError
from training.events import Observers

logger = logging.getLogger(__name__)

NICENESS = 15
"""Of training: what answers people goes first when a machine is full."""
TIDY_PAUSES_S = (1.0, 3.0, 10.0, 30.0)
"""Whatever killed a job's process may have killed the registry too, and nobody else will clean up."""


def run_attempt(assignment: Assignment, place: Place, runner: str, dispatcher: ActorHandle[Any]) -> None:
    """The task. Its return value says nothing: the outcome is stored before it returns."""
    be_nice()
    link = Link(dispatcher, assignment.job_id, assignment.attempt)
    context = ray.get_runtime_context()
    where = Whereabouts(os.getpid(), own_start_s(), context.get_node_id(), context.get_worker_id())
    if not link.begin(where):
        return
    reporter = Reporter(link.report)
    link.on_stop(reporter.ask_to_stop)
    outcome = _outcome(assignment, place, runner, reporter, link.commit)
    if link.finish(outcome, reporter.close()):
        # nobody goes on from there any more
        shutil.rmtree(place.checkpoints / assignment.job_id, ignore_errors=True)


def tidy(job_id: str, name: str, place: Place, runner: str) -> None:
    """The task that cleans up after a process that was killed; a registry that is away is waited for.

    Raises:
        UnavailableError: it stays away.
    """
    be_nice()
    clear_scratch(job_id)
    job = load_runner(runner)
    for pause_s in TIDY_PAUSES_S:
        try:
            return job.tidy(job_id, name, place)
        except UnavailableError as error:
            logger.info("cleaning up after %s is tried again in %g s: %s", job_id, pause_s, error.message)
            time.sleep(pause_s)
    return job.tidy(job_id, name, place)


def be_nice() -> None:
    """Lowers the priority of this thread and of all that it starts; Linux keeps both settings by thread.

    SCHED_IDLE gives way at once to whatever answers people: with niceness alone, 1 % of the reads waited 0.3 to 0.5 s
    while both cores trained, with it 0.1 s. Niceness is for systems that have no such class.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < NICENESS:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    if hasattr(os, "SCHED_IDLE") and os.sched_getscheduler(0) != os.SCHED_IDLE:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _outcome(
    assignment: Assignment, place: Place, runner: str, reporter: Reporter, commit: Callable[[], None]
) -> Outcome:  # fmt: skip
    try:
        # a process keeps the thread pools that it made for its first task; each task has its own number of CPUs
        job = load_runner(runner)
        with (
            threadpool_limits(limits=max(1, int(assignment.demand.cpus))),
            scratch(assignment.job_id),
            attempt_spans(place.otlp_endpoint, assignment.job_id, assignment.kind, assignment.attempt) as spans,
        ):
            done = job.registered(assignment, place) if assignment.attempt > 1 else None
            if done is not None:
                reporter.log("an earlier attempt has registered the version; nothing is left to do")
                return Done(done)
            if assignment.only_look:
                # the attempt that died has left its run open, and there is no other to close it
                job.tidy(assignment.job_id, assignment.name, place)
                return Stopped()
            heard = reporter if spans is None else Observers([reporter, spans])
            return Done(job.run(assignment, place, heard, commit))
    except JobCancelledError:
        return Stopped()
    except TrainingError as error:
        reporter.log(f"{type(error).__name__}: {error}")
        return Broken(raised(error))
    except Exception as error:  # noqa: BLE001  whatever a library raises becomes the job's error, not the worker's end
        reporter.log(traceback.format_exc().rstrip())
        return Broken(raised(error))
