"""What a model family is: it turns rows into a predictor, and knows nothing of clusters, tracking or HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from training.data.table import Rows, TableSchema
from training.events import Observer, SilentObserver
from training.mts_scoring.predictor import Predictor
from training.spec import ModelSpec

if TYPE_CHECKING:
    from training.models.parallel import FitRunner


@dataclass(frozen=True)
class Structure:
    """What ties rows together, which every inner split obeys; each array is over the train, then the validation rows.

    `groups`: [n] codes; rows of one group stay on one side. `times`: [n], comparable; what is held out is later than
    what is learnt from, by `gap` in their unit at least. `rolling`: old rows are not learnt from either, so that each
    fold learns from as many moments as the first. `fixed`: the caller named the validation rows, and only they may be
    held out.
    """

    groups: npt.NDArray[np.int64] | None = None
    times: npt.NDArray[Any] | None = None
    fixed: bool = False
    gap: float = 0.0
    rolling: bool = False

    def of(self, rows: npt.NDArray[np.int64]) -> Structure:
        """That of some of the rows, in the given order. Validation rows that were named are named no more."""
        groups = None if self.groups is None else self.groups[rows]
        times = None if self.times is None else self.times[rows]
        return Structure(groups, times, gap=self.gap, rolling=self.rolling)


@dataclass(frozen=True)
class FitData:
    """The rows of one fit; test rows never come here.

    `validation` steers early stopping; a family that fits several models may also divide all rows anew, as `structure`
    allows.
    """

    schema: TableSchema
    train: Rows
    validation: Rows | None
    structure: Structure = Structure()


@dataclass(frozen=True)
class Stage:
    """A stretch of a fit, which goes on where another one ended, perhaps with other values of some parameters.

    `number` of `count` equally long ones, the first is 0; it ends before, after the step `until`, where that is given.
    `start`: file with the state that it begins with, None for the beginning; `end`: file for its state at its end. All
    nodes must see them at these paths. Nothing ends a stage early but its deadline.
    """

    number: int
    count: int
    start: Path | None
    end: Path
    until: int | None = None

    def last_step(self, steps: int) -> int:
        """The step after which it ends, of a fit with so many."""
        return min(-(-steps * (self.number + 1) // self.count), self.until or steps)


@dataclass(frozen=True)
class FitContext:
    """What a fit may use and whom it tells."""

    seed: int = 0
    cpus: int = 1
    gpus: int = 0
    observer: Observer = field(default_factory=SilentObserver)
    deadline: float | None = None
    """time.monotonic() after which the fit should return the best so far, or raise FitError."""
    checkpoint_folder: Path | None = None
    """Where a long fit may leave what it needs to go on after its process dies."""
    on_step: Callable[[int, Mapping[str, float]], None] | None = None
    """Called after every boosting round or epoch that has validation metrics; what it raises ends the fit."""
    prepared: dict[Any, Any] | None = None
    """Where fits on the very same FitData leave what the next one can use: encoders, matrices. None keeps nothing."""
    stage: Stage | None = None
    """Only this stretch of the fit, of a family whose parameters may change on the way."""
    runner: FitRunner | None = None
    """Who runs the parts of a fit that consists of several; None: one after the other, in this process."""
    rest_of_job_s: Callable[[int, float], float] | None = None
    """Seconds that the job needs after the fit beyond what `deadline` leaves it, for a model of so many members that
    takes so many seconds for a row. Only a fit that knows its members can keep to it."""


Scores = npt.NDArray[np.float64]
"""[n, classes] probabilities, or [n] values for regression."""


@dataclass(frozen=True)
class Member:
    """A model that a fit tried beside or inside the one that it gives.

    `scores` are of the rows of HeldOut, by models that did not learn from them; None where it failed, and `error` says
    why. `share`: of the final model, 0 where it is not in it; None where shares mean nothing.
    """

    name: str
    scores: Scores | None
    fit_s: float
    share: float | None = None
    error: str = ""


@dataclass(frozen=True)
class HeldOut:
    """Rows that can measure a model before the test rows do: each was scored by models that did not learn from it."""

    target: npt.NDArray[np.float64] | npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64] | None
    scores: Scores
    members: tuple[Member, ...] = ()
    structure: Structure = Structure()
    """Of these rows: what is learnt from a row is not measured on another of its group, nor on an older one."""


@dataclass(frozen=True)
class FittedModel:
    """What a fit gives: the predictor, and facts for tracking (resolved parameters, best iteration).

    `held_out`: None where the predictor learnt nothing from the validation rows, so that it can be measured on them.
    `notes`: what the caller should know, sentences.
    `validation_scores`: the predictor's, of the validation rows, where the fit left them behind; else None.
    """

    predictor: Predictor
    params: Mapping[str, Any]
    facts: Mapping[str, float] = field(default_factory=dict)
    held_out: HeldOut | None = None
    notes: tuple[str, ...] = ()
    validation_scores: Scores | None = None


class ModelFamily(ABC):
    """One family of models.

    Stateless: an instance may be used by many threads at once. The same spec, data and seed give the same predictor;
    on one worker to the last digit.
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, spec: ModelSpec, task: str) -> None:
        """Checks the parameters before anything is loaded.

        Raises:
            SpecError: names `model.params.<name>`, the value, and the nearest known name.
        """

    @abstractmethod
    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits on the train rows, with early stopping on the validation rows where the family has it.

        Raises:
            FitError: the estimator failed on valid data.
            JobCancelledError: the observer asked for it.
        """

    def canonical(self, name: str) -> str:
        """The name of a parameter that may be an alias of another; itself where it is none."""
        return name

    def reports_steps(self, spec: ModelSpec) -> bool:
        """Whether a fit calls `FitContext.on_step`, so that a bad one can be ended early."""
        return False

    def stops_early(self, spec: ModelSpec) -> bool:
        """Whether validation rows change what a fit gives; where not, all rows may be learnt from."""
        return True

    def changeable(self, spec: ModelSpec) -> frozenset[str]:
        """Parameters that may have another value in each stage of a fit; none where it has no stages."""
        return frozenset()

    def without_early_stopping(self, spec: ModelSpec, facts: Mapping[str, float]) -> ModelSpec:
        """The spec with as many rounds or epochs as an earlier fit found best, for a fit without validation rows.

        Args:
            spec: of the earlier fit.
            facts: what the earlier fit found, FittedModel.facts.
        """
        return spec


FamilyFactory = Callable[[], ModelFamily]
