"""One trial: fits a configuration and measures it. Knows nothing of Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.table import Rows
from training.evaluation import point_metrics
from training.models import FitContext, FitData, FittedModel, Stage
from training.models.families import family_of
from training.spec import ModelSpec
from training.tuning.members import model_with
from training.tuning.milestones import Milestones, Pace, Report
from training.tuning.objective import FIT_S, PREDICT_MS, Goal
from training.tuning.spread_fit import SpreadFit

Fit = Callable[[ModelSpec, FitData, FitContext], FittedModel]
Scores = npt.NDArray[np.float64]

TIMED_ROWS = 1000
"""predict_ms is the time for so many rows, the best of TIMED_REPEATS: the least disturbed one."""
TIMED_REPEATS = 5


def fit_in_place(model: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
    """The fit of the model's family, in this process."""
    return family_of(model).fit(model, data, context)


@dataclass(frozen=True)
class TrialWork:
    """What all trials of a study share; lies once in the object store.

    `parts` are what a trial fits and is measured on: the train and validation rows, or the folds. A trial's scores of
    the held-out rows, [n] or [n, classes] in the order of the parts, go to a file in `scores_folder`.
    """

    model: ModelSpec
    parts: tuple[FitData, ...]
    goal: Goal
    seed: int
    cpus: int
    gpus: int
    pace: Pace | None
    """None: nobody asks how a trial is doing before its end."""
    scores_folder: Path
    fit: Fit = fit_in_place
    niceness: int = 0
    policy: int = 0
    """Priority and scheduling class of the job that the trials are of."""

    def model_of(self, config: Mapping[str, Any]) -> ModelSpec:
        """The model with the trial's values."""
        return model_with(self.model, self.parts[0].schema.task, config)

    def fit_of(self, number: int) -> Fit:
        """How the trial's model is fitted."""
        return self.fit.of(number) if isinstance(self.fit, SpreadFit) else self.fit

    def scores_file(self, number: int) -> Path:
        """Where the trial leaves its scores of the held-out rows."""
        return self.scores_folder / f"scores-{number}.npy"


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial that ran to its end found; `score` is the last one that a scheduler compares, more is better."""

    values: Mapping[str, float]
    facts: Mapping[str, float]
    curve: list[tuple[int, float]]
    curve_metric: str | None
    score: float


@dataclass(frozen=True)
class Progress:
    """How far a trial was when it was ended early."""

    curve: list[tuple[int, float]]
    curve_metric: str | None
    milestone: int = 0
    """The last one that it reached, see milestones."""


@dataclass
class Trial:
    """One trial on its way.

    Args:
        work: what the trials share.
        number: the trial's.
        config: the values that it sets.
        caches: one for each part; what fits on the same rows share.
        deadline: time.monotonic() after which fits end with the best so far.
        stage: the stretch of the fit that it is; None for all of it.
    """

    work: TrialWork
    number: int
    config: Mapping[str, Any]
    caches: list[dict[Any, Any]]
    deadline: float | None = None
    stage: Stage | None = None
    _curve: list[tuple[int, float]] = field(default_factory=list)
    _curve_metric: str | None = None
    _best_score: float | None = None
    _milestones: Milestones | None = None

    def run(self, report: Report) -> TrialOutcome:
        """Fits and measures.

        Raises:
            TrainingError: the configuration cannot be fitted.
        """
        results = [self._part(place, report) for place in range(len(self.work.parts))]
        scores, values, facts = zip(*results, strict=True)
        self._keep(scores)
        mean = _mean(values)
        gain = self.work.goal.gains(mean)[0] if self.work.goal.has_values(mean) else -np.inf
        is_alone = len(self.work.parts) == 1
        score = self._best_score if is_alone and self._best_score is not None else gain
        return TrialOutcome(mean, _mean(facts), self._curve, self._curve_metric, float(score))

    def progress(self) -> Progress:
        """How far it is."""
        if self._milestones is not None:
            return Progress(self._milestones.curve(), self._milestones.metric, self._milestones.reached)
        return Progress(list(self._curve), self._curve_metric, len(self._curve))

    def _part(self, place: int, report: Report) -> tuple[Scores, dict[str, float], dict[str, float]]:
        work, data = self.work, self.work.parts[place]
        model = work.model_of(self.config)
        is_alone = len(work.parts) == 1
        milestones = Milestones.of(model, report if is_alone and work.pace else _nobody, work.pace or "geometric")
        if is_alone:
            self._milestones = milestones
        context = FitContext(
            seed=work.seed + place, cpus=work.cpus, gpus=work.gpus, deadline=self.deadline, on_step=milestones,
            prepared=self.caches[place].setdefault(model.family, {}), stage=self.stage,
        )  # fmt: skip
        started = time.perf_counter()
        fitted = work.fit_of(self.number)(model, data, context)
        fit_s = time.perf_counter() - started
        held_out = held_out_of(data)
        scores = fitted.predictor.predict(held_out.frame)
        values = point_metrics(data.schema.task, held_out.target, scores, held_out.weight)
        values[FIT_S] = fit_s
        if PREDICT_MS in {*work.goal.objectives, *(bound.metric for bound in work.goal.constraints)}:
            values[PREDICT_MS] = _predict_ms(fitted, held_out)
        if is_alone:
            if milestones.points:
                self._best_score = milestones.best
            self._curve, self._curve_metric = milestones.curve(), milestones.metric
        else:
            self._fold_is_done(place, values, report)
        return scores, values, dict(fitted.facts)

    def _fold_is_done(self, place: int, values: Mapping[str, float], report: Report) -> None:
        first = self.work.goal.first
        if first not in values:
            return
        self._curve_metric = first
        before = sum(value for _, value in self._curve[-1:]) * place
        self._curve.append((place + 1, (before + values[first]) / (place + 1)))
        if self.work.pace and place + 1 < len(self.work.parts):
            report(place + 1, self.work.goal.gains({**values, first: self._curve[-1][1]})[0])

    def _keep(self, scores: tuple[Scores, ...]) -> None:
        file = self.work.scores_file(self.number)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npy")
        np.save(partial, np.concatenate(scores), allow_pickle=False)
        partial.replace(file)


def held_out_of(data: FitData) -> Rows:
    """The rows that a part is measured on."""
    if data.validation is None:
        raise ValueError("a trial needs rows to be measured on")
    return data.validation


def _nobody(_rung: int, _score: float) -> None:
    """Hears of milestones where nobody compares trials."""


def _predict_ms(fitted: FittedModel, rows: Rows) -> float:
    repeats = -(-TIMED_ROWS // len(rows))
    places = np.tile(np.arange(len(rows)), repeats)[:TIMED_ROWS]
    frame = rows.frame.iloc[places].reset_index(drop=True)
    spent = []
    for _ in range(TIMED_REPEATS):
        started = time.perf_counter()
        fitted.predictor.predict(frame)
        spent.append(time.perf_counter() - started)
    return 1000.0 * min(spent)


def _mean(parts: tuple[Mapping[str, float], ...]) -> dict[str, float]:
    """Means of what all parts have."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: float(np.mean([part[name] for part in parts])) for name in names}
