"""After a search: the model of its best trial, or of its best trials, on all rows but the hold-out test rows."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.table import Rows
from training.distributed import Spread, engine_of
from training.models import FitContext, FitData, FittedModel, HeldOut, Member, Stage, Structure
from training.models.families import family_of
from training.mts_scoring.stack_predictor import StackPredictor
from training.result import TrialRow
from training.spec import TrainSpec
from training.tuning.blend import CANDIDATES, Blend, blend
from training.tuning.members import is_blended
from training.tuning.population import STAGES
from training.tuning.study import StudyOutcome
from training.tuning.work import Trial, TrialWork, held_out_of

logger = logging.getLogger("training")

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Refit:
    """A model, and the shares of the trials in it by number; none where it is that of the best trial."""

    fitted: FittedModel
    shares: dict[int, float]


@dataclass(frozen=True)
class Refitting:
    """Fits what a search found.

    Args:
        spec: of the job.
        work: what the trials shared.
        outcome: of the search.
        whole: the train and validation rows together.
        context: of the job's fit.
        spread: how a fit is spread.
    """

    spec: TrainSpec
    work: TrialWork
    outcome: StudyOutcome
    whole: FitData
    context: FitContext
    spread: Spread

    def run(self) -> Refit:
        """The model. Its `held_out` are scores of models that did not learn from these rows."""
        if is_blended(self.spec.model):
            return self._blended()
        best = self.outcome.best
        fitted = self._fit(best, self.context.deadline)
        facts = {**best.facts, **fitted.facts}
        return Refit(replace(fitted, facts=facts, held_out=self._held_out(scores_of(self.work, best))), {})

    def _fit(self, row: TrialRow, deadline: float | None) -> FittedModel:
        """The trial's configuration on all rows, with as many rounds as were best."""
        if row.schedule:
            return self._fit_in_stages(row, deadline)
        tried = self.work.model_of(row.params)
        model = family_of(tried).without_early_stopping(tried, row.facts)
        # no checkpoint: that of a trial would not be one of the refit
        context = replace(self.context, checkpoint_folder=None, deadline=deadline)
        if model.family == self.spec.model.family:
            return engine_of(self.spec).fit(model, self.whole, context, self.spread)
        return family_of(model).fit(model, self.whole, context)

    def _fit_in_stages(self, row: TrialRow, deadline: float | None) -> FittedModel:
        """As the trial was trained: with the values of each stage in turn, up to the epoch that was best."""
        best, epochs = max(1, round(row.facts["best_epoch"])), int(row.facts["scheduled_epochs"])
        with tempfile.TemporaryDirectory(prefix="mts-stages-") as folder:
            start: Path | None = None
            for number, config in enumerate(row.schedule):
                stage = Stage(number, STAGES, start, Path(folder) / f"{number}.pt", until=best)
                model = self.work.model_of({**config, "max_epochs": epochs})
                context = replace(self.context, checkpoint_folder=None, deadline=deadline, stage=stage)
                fitted = family_of(model).fit(model, self.whole, context)
                if stage.last_step(epochs) == best:
                    break
                start = stage.end
        return fitted

    def _held_out(self, scores: Scores) -> HeldOut:
        """Of the best trial, and beside it those of the default configuration."""
        best, default = self.outcome.best, self.outcome.rows[0]
        members: tuple[Member, ...] = ()
        if best.number != default.number and default.status == "COMPLETE":
            name, fit_s = f"{self.spec.model.family}, default configuration", default.values.get("fit_s", 0.0)
            members = (Member(name, scores_of(self.work, default), fit_s),)
        rows = held_rows(self.work)
        return HeldOut(rows.target, rows.weight, scores, members, self._structure())

    def _blended(self) -> Refit:
        rows = self._candidates()
        scores = [scores_of(self.work, row) for row in rows]
        sizes = np.cumsum([len(held_out_of(part)) for part in self.work.parts])
        parts = np.split(np.arange(sizes[-1]), sizes[:-1])
        held = held_rows(self.work)
        found = blend(scores, held, self._structure(), parts, self.spec.split.seed)
        members = tuple(
            Member(self._name(row), score, row.values.get("fit_s", 0.0), share)
            for row, score, share in zip(rows, scores, found.shares, strict=True)
        )
        chosen = [rows[place] for place in found.chosen]
        fitted = self._fit_all(chosen, found)
        held_out = HeldOut(held.target, held.weight, found.scores, members, self._structure())
        shares = dict(zip([row.number for row in chosen], found.combination.weights, strict=True))
        logger.info("blend of %d trials: %s", len(shares), shares)
        return Refit(replace(fitted, held_out=held_out), shares)

    def _candidates(self) -> list[TrialRow]:
        goal = self.work.goal
        complete = [row for row in self.outcome.rows if row.status == "COMPLETE"]
        allowed = [row for row in complete if row.feasible] or complete
        return sorted(allowed, key=lambda row: (goal.rank(row.values), -row.number), reverse=True)[:CANDIDATES]

    def _fit_all(self, chosen: Sequence[TrialRow], found: Blend) -> FittedModel:
        """Each of the chosen trials; what is left of the time is shared equally."""
        models = []
        for place, row in enumerate(chosen):
            deadline, now = self.context.deadline, time.monotonic()
            share = None if deadline is None else now + max(0.0, deadline - now) / (len(chosen) - place)
            models.append(self._fit(row, share))
        predictor = StackPredictor([[model.predictor] for model in models], found.combination)
        named = zip(chosen, models, strict=True)
        params = {"strategy": "stack", "members": {self._name(row): dict(model.params) for row, model in named}}
        return FittedModel(predictor, params, {"num_members": float(len(chosen))})

    def _name(self, row: TrialRow) -> str:
        label = str(row.params.get("member", self.work.model_of(row.params).family))
        return f"{label}, trial {row.number}"

    def _structure(self) -> Structure:
        """That of the held-out rows, which come last in each part."""
        parts = self.work.parts
        found = [
            part.structure.of(np.arange(len(part.train), len(part.train) + len(held_out_of(part)))) for part in parts
        ]
        groups = [one.groups for one in found if one.groups is not None]
        times = [one.times for one in found if one.times is not None]
        return replace(
            found[0], groups=np.concatenate(groups) if groups else None, times=np.concatenate(times) if times else None
        )


def held_rows(work: TrialWork) -> Rows:
    """Target and weights of the held-out rows, in the order of the parts; the frame is the first part's."""
    rows = [held_out_of(part) for part in work.parts]
    weights = [part.weight for part in rows if part.weight is not None]
    target: npt.NDArray[np.float64] = np.concatenate([part.target for part in rows])
    return Rows(rows[0].frame, target, np.concatenate(weights) if weights else None)


def scores_of(work: TrialWork, row: TrialRow) -> Scores:
    """The trial's scores of the held-out rows; fitted again where another machine keeps them."""
    file = work.scores_file(row.number)
    if not file.is_file():
        Trial(work, row.number, row.params, [{} for _ in work.parts]).run(lambda _rung, _score: None)
    scores: Scores = np.load(file, allow_pickle=False)
    return scores
