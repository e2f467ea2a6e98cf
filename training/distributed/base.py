"""What an engine is: it spreads one fit over workers, and gives the same kind of model as a fit in one process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from training.models import FitContext, FitData, FittedModel
from training.spec import ModelSpec
from training.spec.resources import EngineName

HANG_TIMEOUT_S = 300.0
"""A worker that is silent for so long counts as lost. Less would end a fit whose machine is only very busy."""
PLATFORM_RESTARTS = 10
"""Restarts of one fit for nodes that go away; they are not the job's fault, and are not counted against it."""


@dataclass(frozen=True)
class Spread:
    """How one fit is spread.

    Args:
        num_workers: fewest and most of them; the same number twice where it is fixed.
        cpus: of each worker.
        gpus: of each worker.
        memory_mb: reserved for each worker; None for none.
        label: names processes and placement groups in Ray's dashboard, such as `train:german-credit:job_01`.
        folder: where the workers find their rows, and checkpoints go; all nodes must see it at this path.
        max_restarts: of the fit after a worker that died or hung on a node that lives on.
        hang_timeout_s: see HANG_TIMEOUT_S.
    """

    num_workers: tuple[int, int]
    cpus: int
    gpus: int
    memory_mb: int | None
    label: str
    folder: Path
    max_restarts: int = 2
    hang_timeout_s: float = HANG_TIMEOUT_S

    @property
    def min_workers(self) -> int:
        """Fewest."""
        return self.num_workers[0]

    @property
    def max_workers(self) -> int:
        """Most."""
        return self.num_workers[1]

    @property
    def bundle(self) -> dict[str, float]:
        """What one worker asks of Ray."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": (self.memory_mb or 0) * 1024**2}
        return {name: float(amount) for name, amount in wanted.items() if amount}


class Engine(ABC):
    """One way to spread a fit of one family.

    * Stateless: an instance may be used by many threads at once.
    * The calling process asks Ray for no CPU: it may be a task that was given none. It is the main thread of a process
      that is connected to Ray, except for `local`, which needs no Ray.
    * The model is the one that the family itself would give (same encoder, same predictor, same parameters); it differs
      only as far as sums over rows differ in the order of their terms, and as far as random samples differ.
    * Every worker, and every placement group, is gone when `fit` returns or raises, also for a cancellation. Where the
      calling process is killed its workers die with it; the group named `label` is left to whoever killed it.
    * A lost worker or node costs the work since the last checkpoint, and a restart of its own budget: `max_restarts`
      for workers, PLATFORM_RESTARTS for nodes. Then the error tells the true cause: type, message, rank, host.
    """

    name: ClassVar[EngineName]
    family: ClassVar[str]
    """The family of models that it spreads; "" for every one."""

    @abstractmethod
    def fit(self, spec: ModelSpec, data: FitData, context: FitContext, spread: Spread) -> FittedModel:
        """Fits on the train rows, steered by the validation rows.

        Raises:
            FitError: the estimator failed on valid data, or workers were lost too often.
            ResourceError: the cluster cannot hold the workers.
            JobCancelledError: the observer asked for it.
        """
