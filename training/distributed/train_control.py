"""Ray Train's controller, run in the job's own process.

Ray Train 2.60 puts its controller into an actor of its own, which imports for seconds before it starts the first
worker, and gives every process a `runtime_env`, which keeps it from the processes that Ray has started in advance. Here
the controller runs in a thread of the job's process, which has everything imported; the workers start at once, in the
placement group that the job holds. All of Ray Train's own loop is used as it is: state machine, polling, checkpoints,
elastic scaling, preemption.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import Result
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import Worker, WorkerGroup
from ray.train.v2._internal.execution.worker_group.placement_group_handle import DefaultPlacementGroupHandle
from ray.train.v2._internal.execution.worker_group.worker import RayTrainWorker
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from training.distributed.gang import Gang
from training.distributed.ray_errors import DEATHS
from training.distributed.train_policy import Budgets
from training.distributed.train_watcher import here

logger = logging.getLogger("training")

POLL_EVERY_S = 0.2
"""Between two looks at the workers; Ray Train's own 2 s would be most of a short fit."""
ANSWER_S = 2.0
NOT_NEEDED = (PlacementGroupCleanerCallback, DatasetsCallback)
"""Each starts a process of its own: to clean up after a controller that dies apart from the job, and for Ray Data."""


class HeldRoom(DefaultPlacementGroupHandle):
    """The job's placement group: it outlives a start of the workers, for the next start.

    `patient`: no other number of workers will do, so that it is waited for until it is there. Ray Train gives up after
    a minute, in which no cloud brings a node, and takes that for a failure of the fit.
    """

    def __init__(self, gang: Gang, *, patient: bool) -> None:
        super().__init__(gang.group)
        self._gang, self._patient = gang, patient

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Whether there is room."""
        if not self._patient:
            return bool(super().wait(timeout_seconds))
        self._gang.until_ready()
        return True

    def shutdown(self) -> None:
        """Leaves it to the job."""


class HeldScalingPolicy(FixedScalingPolicy):
    """A fixed number of workers, whose room the job has asked for already.

    Ray Train asks for it a second time, through an actor that every run waits for.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Asks for nothing."""

    async def before_controller_shutdown(self) -> None:
        """Takes nothing back."""

    def before_controller_abort(self) -> None:
        """As above."""

    def _maybe_send_resource_request(self) -> None:
        """Asks for nothing."""


class JobWorkerGroup(WorkerGroup):
    """Workers in the room that the job holds, under the job's name."""

    gang: Gang

    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> dict[str, Any]:  # noqa: ARG004 - the library's signature
        return {}

    def _create_placement_group(self, scaling_config: Any, worker_group_context: Any) -> HeldRoom:
        workers = worker_group_context.num_workers
        if workers != self.gang.workers:
            self.gang.resize(workers)
        else:
            self.gang.leave_draining()
        return HeldRoom(self.gang, patient=isinstance(scaling_config.num_workers, int))

    def _init_train_context_on_workers(
        self, workers: list[Worker], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        # as the library does, but for `controller_actor`: there is none, and only reports of the past would ask it
        ray.get([
            worker.actor.init_train_context.remote(
                train_run_context=self._train_run_context, distributed_context=worker.distributed_context,
                synchronization_actor=sync_actor, storage_context=self._storage_context,
                worker_callbacks=self._worker_callbacks_to_propagate, controller_actor=None,
                **{name: values[place] for name, values in train_context_args.items()},
            )
            for place, worker in enumerate(workers)
        ])  # fmt: skip


class GroupMaker:
    """Stands for the class of the worker group, which the controller makes anew for each start."""

    def __init__(self, gang: Gang, label: str) -> None:
        self._gang = gang
        # Ray's dashboard and `ps` show an actor by the name of its class
        self._worker_cls: type[RayTrainWorker] = type(f"{label}:worker", (RayTrainWorker,), {})

    def create(self, train_run_context: Any, worker_group_context: Any, callbacks: Any) -> WorkerGroup:
        """A started group."""
        group: Any = JobWorkerGroup(train_run_context, worker_group_context, callbacks)
        group.gang = self._gang
        group._worker_cls = self._worker_cls
        group._start()
        started: WorkerGroup = group
        return started


class Control:
    """Runs one trainer in the calling thread. Other threads may ask for the workers and may end it."""

    def __init__(self, gang: Gang, label: str, policy: Budgets) -> None:
        self._gang, self._label, self._policy = gang, label, policy
        self._controller: TrainController | None = None

    def fit(self, trainer: DataParallelTrainer) -> Result:
        """As `trainer.fit()`, for a trainer of class `steered`."""
        steered_trainer: Any = trainer
        steered_trainer.control = self
        return trainer.fit()

    def run(self, **arguments: Any) -> Result:
        """What the trainer calls in the place of starting an actor."""
        callbacks = [kept for kept in arguments.pop("callbacks") if not isinstance(kept, NOT_NEEDED)]
        arguments["failure_policy"] = self._policy
        if isinstance(arguments["scaling_policy"], FixedScalingPolicy):
            arguments["scaling_policy"] = HeldScalingPolicy(arguments["scaling_policy"].scaling_config)
        controller: Any = TrainController(**arguments, callbacks=callbacks)
        propagated = controller._worker_group_callbacks_to_propagate
        propagated[:] = [here(callback) for callback in propagated]
        controller.worker_group_cls = GroupMaker(self._gang, self._label)
        controller._health_check_interval_s = POLL_EVERY_S
        self._controller = controller
        asyncio.run(controller.run())
        result: Result = controller.get_result()
        return result

    def workers(self) -> dict[int, Any]:
        """Actors of the present start, by rank; none while they are being started."""
        group = self._controller.get_worker_group() if self._controller else None
        members = group.get_workers() if group is not None and group.has_started() else []
        return dict(enumerate(member.actor for member in members))

    def kill(self, rank: int) -> None:
        """Kills a worker that hangs."""
        actor = self.workers().get(rank)
        if actor is not None:
            ray.kill(actor)

    def find_dead(self, timeout_s: float) -> tuple[int, BaseException] | None:
        """The first worker that Ray calls dead, and why; waits for one for so long."""
        deadline = time.monotonic() + timeout_s
        while True:
            for rank, actor in self.workers().items():
                error = _death_of(actor)
                if error is not None:
                    return rank, error
            if time.monotonic() >= deadline:
                return None
            time.sleep(POLL_EVERY_S)


def _death_of(actor: Any) -> BaseException | None:
    """Why Ray calls it dead; None where it answers, or is merely slow."""
    try:
        ray.get(actor.get_metadata.remote(), timeout=ANSWER_S)
    except DEATHS as error:
        return error
    except RayError as error:
        logger.debug("no answer: %s", error)
    return None


def steered(trainer_class: type[DataParallelTrainer]) -> Callable[..., DataParallelTrainer]:
    """The trainer class with the controller in this process; give it to `Control.fit`."""

    class Steered(trainer_class):  # type: ignore[misc,valid-type]  # a class by argument
        control: Control

        def _initialize_and_run_controller(self, **arguments: Any) -> Result:
            return self.control.run(**arguments)

    return Steered
