"""xgboost-ray 0.1.19 on today's XGBoost: everything of it that does not fit is replaced here, and nowhere else.

xgboost-ray has had no release since 2023; its actors and its training loop work, three of its parts do not:

* `_start_rabit_tracker` and `_stop_rabit_tracker` use the interface that XGBoost's tracker had before 2.1; see
  xgboost_tracker.py. The training loop is bound to ours, without a change to the module.
* `_get_dmatrix` makes a plain DMatrix even where a quantised one is asked for, which takes several times the memory,
  and does not let validation rows share the bins. In an actor's process it is replaced by ours.
* `_RabitContext` names workers by the address of an object, so that their order, and with it the last digit of every
  sum, is a matter of chance. In an actor's process they are named by rank.

Its `train` sleeps ten seconds before it restarts and leaves its placement group behind when it raises; so it is
`_train`, one start of the workers, that is called, and when to start again is decided by losses.py.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
import xgboost as xgb
import xgboost_ray.main as library
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from xgboost.collective import CommunicatorContext
from xgboost_ray.callback import DistributedCallback

from training.distributed.mailbox import Mailbox
from training.distributed.messages import Failed, Started
from training.distributed.shards import Shards
from training.distributed.xgboost_tracker import Tracker
from training.distributed.xgboost_worker import BoostingTask, Matrices, WorkerBoosting

ANSWER_S = 5.0
NEVER = 10**9
"""As a frequency in rounds: xgboost-ray's own checkpoints go by rounds, ours by time."""


@dataclass(frozen=True)
class Part:
    """Stands for a RayDMatrix: one side of the split, of which each actor makes its own part."""

    task: BoostingTask
    shards: Shards

    def __hash__(self) -> int:
        return hash(self.shards)

    def assert_enough_shards_for_actors(self, num_actors: int) -> None:
        """There are: they were cut for them."""

    def assign_shards_to_actors(self, actors: Any) -> bool:
        """By rank, see Shards.of_worker."""
        return False

    def get_data(self, rank: int, num_actors: int) -> dict[str, Any]:
        """Nothing yet: rows are read when the matrix is made. `data` has the length that xgboost-ray counts."""
        groups = self.shards.of_worker(rank, num_actors)
        return {"data": range(self.shards.num_rows * len(groups) // self.shards.num_groups)}


@dataclass(frozen=True)
class Line:
    """Stands for xgboost-ray's queue and stop event, on our mailbox. What it would put there we post ourselves."""

    mailbox: Mailbox
    start: int

    def put(self, item: Any) -> None:
        """Drops xgboost-ray's own checkpoints."""

    def empty(self) -> bool:
        """Always: messages go another way."""
        return True

    def is_set(self) -> bool:
        """Whether the actors were asked to stop."""
        return self.mailbox.stop_asked(self.start)

    def set(self) -> None:
        """Asks the actors to stop."""
        self.mailbox.ask_to_stop(self.start)


class InActor(DistributedCallback):  # type: ignore[misc]  # xgboost_ray ships no types
    """Prepares the process of an actor, which serves one fit only."""

    def __init__(self, mailbox: Mailbox, workers: int) -> None:
        self._mailbox, self._workers = mailbox, workers

    def on_init(self, actor: Any, *args: Any, **kwargs: Any) -> None:
        """Replaces the parts that do not fit, and says that the actor is up."""
        rank, mailbox = actor.rank, self._mailbox
        matrices = Matrices(rank, self._workers)

        def get_dmatrix(part: Part, _param: Mapping[str, Any]) -> Any:
            try:
                return matrices.of(part.task, part.shards)
            except Exception as error:
                mailbox.deliver(Failed.of(rank, error))
                raise

        def rabit_context(_actor_id: str, arguments: dict[str, Any]) -> CommunicatorContext:
            return CommunicatorContext(**arguments, dmlc_task_id=f"{rank:06d}")

        xgb.set_config(verbosity=0)
        library._get_dmatrix = get_dmatrix
        library._RabitContext = rabit_context
        mailbox.post(Started.here(rank))
        mailbox.keep_beating(rank)


@dataclass
class Crew:
    """The actors of one start. They start when this is made, and wait for the room that `group` will be."""

    mailbox: Mailbox
    group: PlacementGroup
    bundle: Mapping[str, float]
    workers: int
    label: str
    start: int

    def __post_init__(self) -> None:
        self.tracker = Tracker()
        self.actors: list[ActorHandle[Any] | None] = [self._actor(rank) for rank in range(self.workers)]
        self._handles = list(self.actors)
        """Also of those that xgboost-ray has struck off."""

    def train(self, task: BoostingTask) -> None:
        """One start of xgboost-ray; the model comes by mail.

        Raises:
            RayActorError: an actor died, or raised.
        """
        line = Line(self.mailbox, self.start)
        state = library._TrainingState(
            actors=self.actors, queue=line, stop_event=line, checkpoint=library._Checkpoint(), additional_results={},
            placement_group=self.group, failed_actor_ranks=set(),
        )  # fmt: skip
        params = library.RayParams(
            num_actors=self.workers, cpus_per_actor=task.cpus, gpus_per_actor=task.gpus, verbose=False,
            checkpoint_frequency=NEVER,
        )  # fmt: skip
        evals = [(Part(task, task.validation), "validation")] if task.validation else []
        _bound(library._train, self.tracker)(
            task.run_params(), Part(task, task.train), task.rounds_left, evals=evals, ray_params=params,
            cpus_per_actor=task.cpus, gpus_per_actor=task.gpus, _training_state=state,
            callbacks=[WorkerBoosting(task)], verbose_eval=False, xgb_model=task.model,
        )  # fmt: skip

    @property
    def dead(self) -> list[int]:
        """Ranks that xgboost-ray found dead."""
        return [rank for rank, actor in enumerate(self.actors) if actor is None]

    def death_of(self, rank: int) -> BaseException | None:
        """Ray's account of how a dead actor ended; None where it has none yet."""
        try:
            ray.get(self._handles[rank].pid.remote(), timeout=ANSWER_S)  # type: ignore[union-attr]
        except RayError as error:
            return error
        return None

    def end(self) -> None:
        """Ends the actors and the tracker, whatever they are busy with."""
        self.tracker.stop()
        for actor in self._handles:
            if actor is not None:
                ray.kill(actor)

    def _actor(self, rank: int) -> Any:
        strategy = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=rank)
        line, prepare = Line(self.mailbox, self.start), InActor(self.mailbox, self.workers)
        actor = library._RemoteRayXGBoostActor.options(
            name=f"{self.label}:worker-{rank}", num_cpus=self.bundle.get("CPU", 0),
            num_gpus=self.bundle.get("GPU", 0), memory=self.bundle.get("memory") or None,
            scheduling_strategy=strategy,
        )  # fmt: skip
        return actor.remote(
            rank=rank, num_actors=self.workers, queue=line, stop_event=line,
            checkpoint_frequency=NEVER, distributed_callbacks=[prepare],
        )  # fmt: skip


def _bound(train: Callable[..., Any], tracker: Tracker) -> Callable[..., Any]:
    """The library's training loop with our tracker in the place of its own, for this call alone."""
    names = {
        "_start_rabit_tracker": lambda workers: (tracker, tracker.arguments(workers)),
        "_stop_rabit_tracker": lambda started: started.stop(),
    }
    function = types.FunctionType(train.__code__, train.__globals__ | names, train.__name__, train.__defaults__)
    function.__kwdefaults__ = train.__kwdefaults__
    return function
