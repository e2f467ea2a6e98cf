"""The search of the family auto: candidate after candidate over the same folds, until the time or the list is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training.data.table import Rows
from training.errors import FitError
from training.models.auto_clock import (
    MOST_COMBINING,
    MOST_CORRECTING,
    MOST_JOB,
    Budget,
    Elapsed,
    combining_s,
    correcting_s,
    free_memory_mb,
)
from training.models.auto_portfolio import Candidate, Shape
from training.models.base import FitContext, ModelFamily
from training.models.combining import mean_loss
from training.models.members import FoldedModel, held_positions
from training.models.parallel import FitOutcome, FitTask, runner_of
from training.models.pool import Fold, Pool, taken

logger = logging.getLogger("training")

REPEATED = 2
"""Configurations that are repeated: the best ones."""
LEAST_FIT_S = 0.05
"""A fit that has less time is not worth its start."""
LEAST_SHARE = 0.1
"""Of the time that a fit takes to its own end: one that has less gives no member worth its time."""


@dataclass
class Search:
    """One search; `members` are in the order in which they were tried.

    What comes after the last fit is kept free, and is estimated anew after each member: to combine those that there
    are, to correct their probabilities, and the rest of the job where that has a budget too.
    """

    pool: Pool
    folds: Sequence[Fold]
    families: Mapping[str, ModelFamily]
    context: FitContext
    budget: Budget
    max_repeats: int = 0
    members: list[FoldedModel] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Measured, of one fold of each candidate."""
    pace: float = 1.0
    """How much longer than estimated the fits take here."""
    combining_kept_s: float = field(init=False)
    correcting_kept_s: float = 0.0
    job_kept_s: float = 0.0

    def __post_init__(self) -> None:
        self.combining_kept_s = self.budget.first_reserve_s()

    def run(self, candidates: Sequence[Candidate]) -> None:
        """Tries each candidate, then the best ones again from other seeds, as long as there is time.

        Raises:
            JobCancelledError: the observer asked for it.
        """
        for candidate in candidates:
            self._try(candidate, candidate.name, 0)
        for repeat in range(1, self.max_repeats + 1):
            for candidate in self._best(candidates):
                needed_s = self.seconds[candidate.name] * self._waves()
                if needed_s < self._left_s():
                    self._try(candidate, f"{candidate.name} #{repeat + 1}", repeat)

    def combined_by(self) -> float:
        """time.monotonic() at which the members must be combined."""
        end = time.monotonic() + self.budget.left_s()
        if self.context.deadline is not None:
            end = min(end, self.context.deadline - self.job_kept_s)
        return end - self.correcting_kept_s

    def _left_s(self) -> float:
        """Seconds until the last fit must be over."""
        return self.combined_by() - time.monotonic() - self.combining_kept_s

    def _try(self, candidate: Candidate, name: str, repeat: int) -> None:
        member = FoldedModel(name, self.folds)
        shape = Shape.of(self.pool)
        reason = self._why_not(candidate, shape)
        if reason:
            logger.info("auto: %s is left out: %s", name, reason)
            member.outcomes[0] = FitOutcome(None, None, 0.0, FitError(reason))
            self.members.append(member)
            return
        runner = runner_of(self.context)
        allotted_s = min(self._left_s(), candidate.most * self.budget.total_s)
        gpus = self.context.gpus if candidate.spec.family == "torch" else 0
        tasks = [
            FitTask(
                self.families[candidate.spec.family], candidate.spec, fold, self._seed(name, place),
                cpus=runner.cpus, gpus=gpus,
            )
            for place, fold in enumerate(self.folds)
        ]  # fmt: skip
        # what cannot be interrupted is only begun where there is time enough, and needs no deadline
        deadline = time.monotonic() + allotted_s if candidate.interruptible else None
        for place, outcome in runner.run(self.pool, tasks, Elapsed(self.context.observer, self.budget), deadline):
            member.outcomes[place] = outcome
            if outcome.error is not None or self._is_late(candidate, member):
                break
        self.members.append(member)
        if member.is_complete:
            self._learn_from(candidate, member, shape)
            logger.info("auto: %s: loss %.5f in %.1f s", name, self._loss(member), member.fit_s)
        else:
            logger.info("auto: %s is not complete: %s", name, member.error or "the time is over")

    def _is_late(self, candidate: Candidate, member: FoldedModel) -> bool:
        """Whether the folds that are missing cannot be fitted any more."""
        missing = len(self.folds) - len(member.outcomes)
        if candidate.interruptible or not missing:
            return self._left_s() <= 0
        waves = -(-missing // runner_of(self.context).slots)
        return waves * member.fit_s / len(member.outcomes) > self._left_s()

    def _learn_from(self, candidate: Candidate, member: FoldedModel, shape: Shape) -> None:
        """Notes how long a candidate takes, and how long what comes after the last fit will take."""
        self.seconds[candidate.name] = member.fit_s / len(self.folds)
        if candidate.spec.family == "xgboost":  # what cannot be interrupted is boosting too
            self.pace = max(self.pace, self.seconds[candidate.name] / candidate.seconds(shape))
        complete = [one for one in self.members if one.is_complete]
        total_s = self.budget.total_s
        scores = [one.scores(len(self.pool), self._held) for one in complete]
        self.correcting_kept_s = min(MOST_CORRECTING * total_s, correcting_s(scores[0]))
        combining = combining_s(scores, self._held_rows, len(self.folds))
        self.combining_kept_s = min(MOST_COMBINING * total_s, combining)
        if self.context.rest_of_job_s is not None:
            row_s = sum(one.row_s() for one in complete)
            self.job_kept_s = min(MOST_JOB * total_s, self.context.rest_of_job_s(len(complete) + 1, row_s))

    def _why_not(self, candidate: Candidate, shape: Shape) -> str:
        left_s, memory_mb = self._left_s(), candidate.memory_mb(shape) * runner_of(self.context).slots
        if memory_mb > free_memory_mb():
            return f"it would take about {memory_mb:,.0f} MB of memory, {free_memory_mb():,.0f} MB are free"
        if left_s / self._waves() < LEAST_FIT_S:
            return "no time was left"
        least_s = LEAST_SHARE * candidate.seconds(shape) * self._waves()
        if left_s < least_s and any(member.is_complete for member in self.members):
            return f"it needs about {least_s:.0f} s at least, and {left_s:.0f} s were left"
        if not candidate.interruptible and candidate.seconds(shape) * self.pace * self._waves() > left_s:
            return "it cannot be interrupted, and would take longer than there is time"
        return ""

    def _waves(self) -> int:
        return -(-len(self.folds) // runner_of(self.context).slots)

    def _seed(self, name: str, place: int) -> int:
        words = [self.context.seed, *name.encode(), place]
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    def _best(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        losses = {
            member.name: self._loss(member) for member in self.members if member.is_complete and "#" not in member.name
        }
        known = [candidate for candidate in candidates if candidate.name in losses and candidate.name != "linear"]
        return sorted(known, key=lambda candidate: losses[candidate.name])[:REPEATED]

    @cached_property
    def _held(self) -> npt.NDArray[np.int64]:
        return held_positions(self.folds)

    @cached_property
    def _held_rows(self) -> Rows:
        return taken(self.pool.rows, self._held)

    def _loss(self, member: FoldedModel) -> float:
        return mean_loss(member.scores(len(self.pool), self._held), self._held_rows)


def usable(members: Sequence[FoldedModel]) -> list[FoldedModel]:
    """All members where one is complete; else the one of which most folds were fitted, with these folds only."""
    if any(member.is_complete for member in members):
        return list(members)
    started = [member for member in members if any(outcome.fitted is not None for outcome in member.outcomes.values())]
    if not started:
        return []
    fitted = {
        member.name: [place for place, outcome in sorted(member.outcomes.items()) if outcome.fitted is not None]
        for member in started
    }
    best = max(started, key=lambda member: len(fitted[member.name]))
    places = fitted[best.name]
    folds = [replace(best.folds[place], serves=True) for place in places]
    return [FoldedModel(best.name, folds, {new: best.outcomes[place] for new, place in enumerate(places)})]
