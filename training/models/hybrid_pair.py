"""What the two strategies of trees and a net have in common: trees over folds of the train rows, and the parents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.data.table import Rows
from training.errors import FitError
from training.events import Observer
from training.models.base import FitContext, FitData, HeldOut, Member, Scores
from training.models.hybrid_params import NamedMember
from training.models.members import FoldedModel, reason_of
from training.models.parallel import FitTask, ProgressPart, runner_of
from training.models.pool import Fold, Pool, Positions, folds_of
from training.mts_scoring.predictor import Predictor

PARTS = {"parents": (0.0, 0.4), "trees": (0.4, 0.2), "net": (0.6, 0.4)}
"""Where each part of the fit begins and how much of the time and the progress it takes."""


@dataclass(frozen=True)
class PairFit:
    """One fit of boosted trees and a net. The validation rows teach neither: they steer and measure."""

    data: FitData
    context: FitContext
    trees: NamedMember
    net: NamedMember
    started: float

    @classmethod
    def begin(cls, members: Sequence[NamedMember], data: FitData, context: FitContext) -> PairFit:
        """Takes the trees and the net."""
        trees, net = members
        return cls(data, context, trees, net, time.monotonic())

    def part(self, name: str) -> tuple[Observer, float | None]:
        """Who hears of a part, and its deadline."""
        start, share = PARTS[name]
        deadline = self.context.deadline
        if deadline is not None:
            deadline = self.started + (start + share) * max(0.0, deadline - self.started)
        return ProgressPart(self.context.observer, start, share), deadline

    def parents(self) -> list[FoldedModel]:
        """Trees and net, each alone on the train rows; none where there are no validation rows to compare them on."""
        pool = Pool.of(self.data)
        if pool.first_validation == len(pool):
            return []
        everyone = np.arange(len(pool))
        validation = everyone[pool.first_validation :]
        # as the net of the hybrid, which is measured on them too: the comparison must not favour one of them
        fold = Fold(everyone[: pool.first_validation], validation, steering=validation)
        pair = [self.trees, self.net]
        tasks = [self._task(member, fold, number) for number, member in enumerate(pair)]
        folded = [FoldedModel(member.name, [fold]) for member in pair]
        for number, outcome in runner_of(self.context).run(pool, tasks, *self.part("parents")):
            folded[number].outcomes[0] = outcome
        return folded

    def trees_over_folds(self, spec: NamedMember, count: int) -> tuple[FoldedModel, Pool, list[Fold]]:
        """Trees for each fold of the train rows.

        Raises:
            DataError: too few rows for folds.
            TrainingError: a fit failed.
        """
        structure = self.data.structure.of(np.arange(len(self.data.train)))
        pool = Pool.of(FitData(self.data.schema, self.data.train, None, structure))
        folds = folds_of(pool, count, self.context.seed)
        tasks = [self._task(spec, fold, 2 + number) for number, fold in enumerate(folds)]
        folded = FoldedModel(spec.name, folds)
        for number, outcome in runner_of(self.context).run(pool, tasks, *self.part("trees")):
            if outcome.error is not None:
                raise outcome.error
            folded.outcomes[number] = outcome
        return folded, pool, folds

    def net_context(self) -> FitContext:
        """How the net of the hybrid is fitted."""
        observer, deadline = self.part("net")
        return replace(self.context, observer=observer, deadline=deadline, checkpoint_folder=None, runner=None)

    def held_out(self, hybrid: Predictor, parents: Sequence[FoldedModel]) -> HeldOut | None:
        """The hybrid beside its parents on the validation rows."""
        rows = self.data.validation
        if rows is None or not len(rows):
            return None
        members = tuple(_member(parent) for parent in parents)
        structure = self.data.structure.of(np.arange(len(self.data.train), len(self.data.train) + len(rows)))
        return HeldOut(rows.target, rows.weight, hybrid.predict(rows.frame), members, structure)

    def _task(self, member: NamedMember, fold: Fold, number: int) -> FitTask:
        seed = int(np.random.SeedSequence([self.context.seed, number]).generate_state(1)[0])
        gpus = self.context.gpus if member.spec.family == "torch" else 0
        return FitTask(member.family, member.spec, fold, seed, cpus=self.context.cpus, gpus=gpus)


def learnt_rows(rows: Rows, held: Positions, scores: Scores) -> tuple[Rows, Scores]:
    """The rows that have scores, with them: over time the first rows have none, and the net cannot learn from them."""
    frame = rows.frame.take(held).reset_index(drop=True)
    weight = None if rows.weight is None else rows.weight[held]
    return Rows(frame, rows.target[held], weight), scores


def _member(parent: FoldedModel) -> Member:
    outcome = parent.outcomes.get(0)
    if outcome is None or outcome.scores is None:
        error = parent.error or FitError("it was not fitted")
        return Member(parent.name, None, parent.fit_s, None, reason_of(error))
    return Member(parent.name, outcome.scores, parent.fit_s)
