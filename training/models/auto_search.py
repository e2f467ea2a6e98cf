"""The search of the family auto: candidate after candidate over the same folds, until the time or the list is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from training.errors import FitError
from training.models.auto_clock import Budget, Elapsed, free_memory_mb
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


@dataclass
class Search:
    """One search; `members` are in the order in which they were tried."""

    pool: Pool
    folds: Sequence[Fold]
    families: Mapping[str, ModelFamily]
    context: FitContext
    budget: Budget
    max_repeats: int = 0
    members: list[FoldedModel] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Measured, of one fold of each candidate."""

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
                if needed_s < self.budget.left_s():
                    self._try(candidate, f"{candidate.name} #{repeat + 1}", repeat)

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
        allotted_s = min(self.budget.left_s(), candidate.most * self.budget.total_s)
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
            if outcome.error is not None or self.budget.left_s() <= 0:
                break
        self.members.append(member)
        if member.is_complete:
            self.seconds[candidate.name] = member.fit_s / len(self.folds)
            logger.info("auto: %s: loss %.5f in %.1f s", name, self._loss(member), member.fit_s)
        else:
            logger.info("auto: %s is not complete: %s", name, member.error or "the time is over")

    def _why_not(self, candidate: Candidate, shape: Shape) -> str:
        left_s, memory_mb = self.budget.left_s(), candidate.memory_mb(shape) * runner_of(self.context).slots
        if memory_mb > free_memory_mb():
            return f"it would take about {memory_mb:,.0f} MB of memory, {free_memory_mb():,.0f} MB are free"
        if left_s / self._waves() < LEAST_FIT_S:
            return "no time was left"
        if not candidate.interruptible and candidate.seconds(shape) * self._waves() > left_s:
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

    def _loss(self, member: FoldedModel) -> float:
        held = held_positions(self.folds)
        return mean_loss(member.scores(len(self.pool), held), taken(self.pool.rows, held))


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
