"""Ray Tune's control loop, without what a study has no use for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.air.execution.resources.fixed import FixedAcquiredResources, FixedResourceManager
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.tune import PlacementGroupFactory
from ray.tune.error import TuneError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Experiment, Trial
from ray.tune.registry import register_trainable
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.search_algorithm import SearchAlgorithm

from training.distributed.ray_errors import cause_of_death
from training.models import Stage
from training.tuning.actor import OUTCOME, Failure, TrialActor, WorkReference
from training.tuning.share import Share, waits_in_cluster
from training.tuning.work import Progress, TrialOutcome

TRAINABLE = "training-trial"
LEND_S = 0.05
"""How long the control loop waits for processes that are starting, before it looks at those that run."""
MAX_CAUSE_CHARS = 500
"""Of why the process of a trial ended."""


@dataclass(frozen=True)
class Proposal:
    """A configuration to try; `until` is the time.time() at which its fit is to end with the best so far, `stage` the
    stretch of the fit, None for all of it."""

    number: int
    config: dict[str, Any]
    until: float | None = None
    stage: Stage | None = None


Finding = TrialOutcome | Failure | Progress
"""What became of a trial; its progress where the scheduler ended it early."""


@dataclass(frozen=True)
class Slots:
    """Room for trials: so many at once, each with so many workers with these resources by Ray's names."""

    count: int
    resources: dict[str, float]
    workers: int = 1

    def of_trial(self) -> dict[str, float]:
        """The resources of one trial."""
        return {name: amount * self.workers for name, amount in self.resources.items()}

    def all(self) -> dict[str, float]:
        """The resources of all trials together."""
        return {name: amount * self.count for name, amount in self.of_trial().items()}


class _LeftToWorkers(FixedAcquiredResources):
    """Of a trial that is spread: its process asks Ray for nothing, for its workers ask for all."""

    def _annotate_remote_entity(self, entity: Any, bundle: dict[str, float], bundle_index: int) -> Any:
        return entity.options(num_cpus=0)


class _SpreadTrials(FixedResourceManager):
    """Counts trials as Tune wants it."""

    _resource_cls = _LeftToWorkers  # type: ignore[assignment]  # Ray annotates an instance where it wants the class


@dataclass
class ProposedTrials(SearchAlgorithm):
    """Where Tune's trials come from and whom it tells of their end.

    Args:
        propose: the next configuration, None when there is none left.
        found: hears what became of a trial.
        make: Tune's trial of a proposal.
        limit: trials at once. A configuration is proposed when its trial can start, so that it can draw on all trials
            that ended before.
    """

    propose: Callable[[], Proposal | None]
    found: Callable[[int, Finding], None]
    make: Callable[[Proposal], Trial]
    limit: int
    causes: dict[str, str] = field(default_factory=dict)
    _running: dict[str, int] = field(default_factory=dict)
    _is_over: bool = False
    is_drained: bool = False
    """Whether there was nothing to propose the last time; a trial whose process dies may change that."""

    def next_trial(self) -> Trial | None:
        """The next trial, if there is room for it."""
        if self._is_over or len(self._running) >= self.limit:
            return None
        proposal = self.propose()
        self.is_drained = proposal is None
        if proposal is None:
            # while one runs it may come back, where its process dies
            self._is_over = not self._running
            return None
        trial = self.make(proposal)
        self._running[trial.trial_id] = proposal.number
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002 - Tune's signature
        """A trial is over."""
        number = self._running.pop(trial_id)
        if error:
            cause = self.causes.pop(trial_id, "unknown cause")
            self.found(number, Failure(f"the process of the trial ended: {cause}", is_process_death=True))
        else:
            self.found(number, (result or {}).get(OUTCOME, Progress([], None)))

    def is_finished(self) -> bool:
        """Whether there will be no more trials."""
        return self._is_over


class StudyController(TuneController):
    """Runs trials on reused actors.

    Tune's own files are left out: it would write the state of all trials again and again, while the study keeps a
    journal of one line for each trial. There are no placement groups: one that a task made outlives the task when its
    process is killed, and would hold its CPUs until the cluster ends.

    Args:
        folder: for Tune's marks; the trials' own folders lie in Ray's session folder.
        work: what the trials share.
        slots: room for trials.
        scheduler: ends bad trials early.
        propose: the next configuration, None when there is none left.
        found: hears what became of a trial.
    """

    def __init__(
        self,
        folder: Path,
        work: WorkReference,
        slots: Slots,
        scheduler: TrialScheduler,
        *,
        propose: Callable[[], Proposal | None],
        found: Callable[[int, Finding], None],
    ) -> None:
        register_trainable(TRAINABLE, TrialActor, warn=False)
        storage = Experiment("tune", TRAINABLE, storage_path=str(folder)).storage
        resources = PlacementGroupFactory([slots.of_trial()])
        manager = FixedResourceManager if slots.workers == 1 else _SpreadTrials
        tries = itertools.count()

        def make(proposal: Proposal) -> Trial:
            config = {
                "work": work, "number": proposal.number, "config": proposal.config, "until": proposal.until,
                "stage": proposal.stage,
            }  # fmt: skip
            return Trial(
                TRAINABLE, config=config, trial_id=f"{proposal.number:05d}-{next(tries)}", storage=storage,
                placement_group_factory=resources,
            )  # fmt: skip

        self._share = Share(slots.count, waits_in_cluster(slots.all()))
        self._proposed = ProposedTrials(propose, found, make, slots.count)
        super().__init__(
            search_alg=self._proposed,
            scheduler=scheduler,
            storage=storage,
            reuse_actors=True,
            resource_manager_factory=lambda: manager(slots.all()),
        )

    def advance(self) -> bool:
        """Waits for one event, at most 0.1 s, and deals with it; False when every trial is over."""
        if self.is_finished():  # type: ignore[no-untyped-call]  # Tune leaves some of its methods untyped
            return False
        starting = self._actor_manager._actor_state_events.get_futures()
        self._proposed.limit = self._share.look(len(starting))
        if self._share.is_wanted:
            self._give_back()
        self._lend_cpus(list(starting))
        self.step()  # type: ignore[no-untyped-call]  # as above
        return True

    def _lend_cpus(self, starting: list[ray.ObjectRef[Any]]) -> None:
        """Where a process of trials has not started yet, or others wait: waits a moment in a way that makes Ray lend
        the CPUs of this job, which Tune's own way of waiting does not."""
        if not starting and self._share.is_wanted:
            starting = list(self._actor_manager._actor_task_events.get_futures())
        if starting:
            # what failed is Tune's to deal with
            with suppress(GetTimeoutError, RayError):
                ray.get(starting, timeout=LEND_S)

    def _give_back(self) -> None:
        """Ends the processes that no trial needs now, which Tune would keep for later ones."""
        if not self._pending_trials and len(self._running_trials) >= self._proposed.limit:
            self._cleanup_cached_actors(force_all=True)

    def close(self) -> None:
        """Ends all processes of trials at once."""
        self._actor_manager.cleanup()  # type: ignore[no-untyped-call]  # as above

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:  # noqa: FBT001, FBT002 - Tune's signature
        """Writes nothing."""

    def _maybe_reuse_cached_actor(self, trial: Trial) -> bool:
        """A trial whose own process is starting waits for it, as long as there are other trials for the free process.

        Tune would give it the free one, end the one that is starting, and start another for the next trial: where
        trials are shorter than the start of a process, no second one would ever run.
        """
        if trial in self._trial_to_actor and trial not in self._resetting_trials and not self._proposed.is_drained:
            return False
        reused: bool = super()._maybe_reuse_cached_actor(trial)
        return reused

    def _process_trial_failure(self, trial: Trial, exception: TuneError | RayTaskError | RayActorError) -> None:
        self._proposed.causes[trial.trial_id] = _in_words(exception)
        super()._process_trial_failure(trial, exception)


def _in_words(error: TuneError | RayTaskError | RayActorError) -> str:
    """Without the traceback of another process, which a trial's row has no room for."""
    if isinstance(error, RayTaskError) and error.cause is not None:
        return f"{type(error.cause).__name__}: {error.cause}"[:MAX_CAUSE_CHARS]
    return cause_of_death(error) or " ".join(str(error).split())[:MAX_CAUSE_CHARS]
