"""The cluster of the dispatcher's process: attempts become Ray tasks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_app.dispatcher.autoscaler import node_types
from ray_app.dispatcher.capacity import Capacity, Room
from ray_app.dispatcher.messages import Assignment, Place, TaskEnd, Whereabouts
from ray_app.dispatcher.node_sizes import read_capacity, worker_exit_detail
from ray_app.dispatcher.processes import end_process
from ray_app.dispatcher.worker import run_attempt, tidy
from training.releasing import cancel, release_below, release_named

logger = logging.getLogger(__name__)

CAPACITY_AGE_S = 1.0
"""Ray's control store is asked no more often than this."""
TYPES_AGE_S = 30.0
"""The autoscaler's configuration is looked for no more often than this."""

# No runtime_env: a task with one never gets a process that another task has warmed. No retries by Ray: the controller
# decides about each failure, and numbers the attempts.
_attempt_task = ray.remote(max_retries=0)(run_attempt)
_tidy_task = ray.remote(max_retries=2, num_cpus=1)(tidy)
_end_task = ray.remote(max_retries=0, num_cpus=0)(end_process)


class RayCluster:
    """Implements ray_app.dispatcher.cluster.Cluster; made inside the actor, which owns the tasks.

    Args:
        dispatcher: handle of the actor, for the workers.
        place: what workers need of the settings.
        runner: import path of the `Runner`.
        ended: hears the end of each task, on a thread of Ray's.
    """

    def __init__(
        self, dispatcher: ActorHandle[Any], place: Place, runner: str, ended: Callable[[TaskEnd], None]
    ) -> None:  # fmt: skip
        self._dispatcher = dispatcher
        context = ray.get_runtime_context()
        self._node_id = context.get_node_id()
        self._place = place
        self._runner = runner
        self._ended = ended
        self._tasks: dict[tuple[str, int], ray.ObjectRef[None]] = {}
        self._rooms: dict[str, str] = {}
        """Names of the placement groups that jobs reserve for their workers, by job."""
        self._capacity: Capacity | None = None
        self._capacity_at = 0.0
        self._gcs_address = context.gcs_address
        self._types: tuple[Room, ...] | None = None
        self._types_at = -TYPES_AGE_S

    def submit(self, assignment: Assignment) -> None:
        """Makes a task of the attempt."""
        demand = assignment.demand
        # a fit that starts its workers itself reserves room for them, and its own process must not take it from them
        alone = {} if demand.spread else {"num_gpus": demand.gpus, "memory": demand.memory_bytes or None}
        task = _attempt_task.options(
            name=assignment.task_name, num_cpus=0 if demand.spread else demand.cpus, **alone
        ).remote(assignment, self._place, self._runner, self._dispatcher)  # fmt: skip
        self._tasks[assignment.job_id, assignment.attempt] = task
        if demand.spread:
            self._rooms[assignment.job_id] = assignment.task_name

        def done(future: Future[None]) -> None:
            self._tasks.pop((assignment.job_id, assignment.attempt), None)
            if future.exception() is not None:
                self._give_back_room(assignment.job_id)
            self._ended(TaskEnd(assignment.job_id, assignment.attempt, future.exception()))

        task.future().add_done_callback(done)

    def take_back(self, job_id: str, attempt: int) -> None:
        """Cancels a task that has not begun."""
        task = self._tasks.get((job_id, attempt))
        if task is not None:
            cancel(task, recursive=False)

    def kill(self, job_id: str, attempt: int, where: Whereabouts) -> None:
        """Kills the process ourselves, and cancels the task by force.

        Ray's own kill is a message to the process, and waits with all others for the interpreter where native code
        does not give it back.
        """
        if where.node_id == self._node_id:
            end_process(where)
        else:
            there = NodeAffinitySchedulingStrategy(where.node_id, soft=False)
            _end_task.options(scheduling_strategy=there).remote(where)
        task = self._tasks.get((job_id, attempt))
        if task is not None:
            cancel(task, force=True, recursive=False)
        self._give_back_room(job_id)

    def _give_back_room(self, job_id: str) -> None:
        """A process that was killed leaves the placement groups of its workers behind: its own, and those of trials."""
        name = self._rooms.get(job_id)
        if name is None:
            return
        release_named(name)
        release_below(name)

    def tidy(self, job_id: str, name: str) -> None:
        """Runs where a job could: in a process that has everything imported."""

        def done(future: Future[None]) -> None:
            if future.exception() is not None:
                logger.warning("could not clean up after %s: %s", job_id, future.exception())

        task = _tidy_task.options(name=f"tidy:{job_id}").remote(job_id, name, self._place, self._runner)
        task.future().add_done_callback(done)

    def capacity(self) -> Capacity:
        """The nodes, at most CAPACITY_AGE_S old."""
        now = time.monotonic()
        if now - self._types_at > TYPES_AGE_S:
            self._types, self._types_at = node_types(self._gcs_address), now
        if self._capacity is None or now - self._capacity_at > CAPACITY_AGE_S:
            self._capacity, self._capacity_at = read_capacity(self._types), now
        return self._capacity

    def exit_detail(self, worker_id: str) -> str:
        """Ray's account of how a worker process ended."""
        return worker_exit_detail(worker_id)
