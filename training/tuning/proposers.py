"""Which configuration to try next."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from training.result import TrialRow
from training.spec import Choice, FloatRange, IntRange, ParameterSpec
from training.spec.tune import Searcher
from training.tuning.ledger import FORECAST, MILESTONE
from training.tuning.objective import Goal, is_maximized, is_rising
from training.tuning.space import Config, Space

STARTUP_TRIALS = 10
"""Drawn by chance before a model of the space is of use."""


class Proposer(Protocol):
    """Proposes configurations and learns from trials. Used from one thread.

    The same calls in the same order give the same proposals.
    """

    def propose(self, number: int) -> Config | None:
        """A configuration for the trial; None when there is none left."""

    def learn(self, row: TrialRow) -> None:
        """A trial is over, proposed here or not."""


class GridProposer:
    """Every combination once, in a fixed order; those that were tried already are left out."""

    def __init__(self, space: Space) -> None:
        self._points = space.grid()
        self._known: set[str] = set()

    def propose(self, number: int) -> Config | None:
        """The next combination."""
        return next((point for point in self._points if _key(point) not in self._known), None)

    def learn(self, row: TrialRow) -> None:
        """Notes that the combination has been tried."""
        self._known.add(_key(row.params))


class OptunaProposer:
    """A sampler of Optuna. Its study lies in memory: what a study on disk needs is in the study's own journal."""

    def __init__(self, searcher: Searcher, space: Space, goal: Goal, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._goal = space, goal
        up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        directions = [up if is_maximized(name) else down for name in goal.objectives]
        self._study = optuna.create_study(directions=directions, sampler=_sampler(searcher, seed))
        self._asked: dict[int, optuna.trial.Trial] = {}

    def propose(self, number: int) -> Config | None:
        """What the sampler suggests."""
        trial = self._study.ask()
        self._asked[number] = trial
        return self._space.draw(partial(_suggested, trial))

    def learn(self, row: TrialRow) -> None:
        """Tells the sampler; a trial that it did not suggest is told as far as it lies in the space."""
        asked = self._asked.pop(row.number, None)
        if asked is not None:
            self._tell(asked, row)
            return
        suggested = self._space.as_point(row.params)
        if suggested is not None and row.status in {"COMPLETE", "STOPPED"}:
            distributions = {name: distribution_of(self._space.parameters[name]) for name in suggested}
            self._study.add_trial(self._frozen(row, suggested, distributions))

    def _tell(self, trial: optuna.trial.Trial, row: TrialRow) -> None:
        if row.status == "COMPLETE":
            for name, violation in self._violations(row).items():
                trial.set_constraint(name, violation)
            self._study.tell(trial, self._values(row))
            return
        if self._is_forecast(row):
            self._study.tell(trial, row.facts[FORECAST])
            return
        if row.status == "STOPPED" and len(self._goal.objectives) == 1:
            for step, value in self._steps(row).items():
                trial.report(value, step)
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        self._study.tell(trial, state=TrialState.FAIL)

    def _is_forecast(self, row: TrialRow) -> bool:
        """Whether the sampler learns of a trial that ended early what it would have come to; with constraints it cannot
        say whether it would have kept them."""
        return row.status == "STOPPED" and FORECAST in row.facts and not self._goal.constraints

    def _frozen(self, row: TrialRow, params: Config, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
        is_complete = row.status == "COMPLETE"
        values = self._values(row) if is_complete else [row.facts[FORECAST]] if self._is_forecast(row) else None
        return optuna.trial.create_trial(
            state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
            values=values,
            params=params,
            distributions=distributions,
            intermediate_values=self._steps(row) if values is None else {},
            constraints=self._violations(row) if is_complete else None,
        )

    def _values(self, row: TrialRow) -> list[float]:
        return [row.values[name] for name in self._goal.objectives]

    def _violations(self, row: TrialRow) -> dict[str, float]:
        found = {bound.text: bound.violation(row.values) for bound in self._goal.constraints}
        return {text: min(violation, 1e300) for text, violation in found.items()}

    def _steps(self, row: TrialRow) -> dict[int, float]:
        """The last point of the curve, turned to the direction of the objective: the sampler ranks trials that ended
        early by how far they came, and then by this. Rounds would not do: of two learning rates the smaller one has
        come less far after as many."""
        if not row.curve or row.curve_metric is None:
            return {}
        step, value = round(row.facts.get(MILESTONE, row.curve[-1][0])), row.curve[-1][1]
        return {step: value if is_rising(row.curve_metric) == is_maximized(self._goal.first) else -value}


def make_proposer(searcher: Searcher, space: Space, goal: Goal, seed: int) -> Proposer:
    """The searcher of the spec.

    - tpe: Bergstra et al. 2011; multivariate, Falkner et al. 2018, in groups of parameters that depend on each other.
    - cmaes: Hansen 2016, arXiv:1604.00772; choices are drawn by chance.
    - hyperopt: HyperOpt's own tpe, each parameter by itself.
    - random: Bergstra, Bengio 2012.
    """
    if searcher == "hyperopt":
        # rarely asked for, and a second to import
        from training.tuning.hyperopt_proposer import HyperOptProposer  # noqa: PLC0415

        return HyperOptProposer(space, goal, seed)
    return GridProposer(space) if searcher == "grid" else OptunaProposer(searcher, space, goal, seed)


def distribution_of(parameter: ParameterSpec) -> BaseDistribution:
    """The parameter in Optuna's terms."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(tuple(range(len(parameter.values))))
    if isinstance(parameter, IntRange):
        return IntDistribution(parameter.low, _last(parameter), log=parameter.log, step=parameter.step or 1)
    return FloatDistribution(parameter.low, _last(parameter), log=parameter.log, step=parameter.step)


def _last(parameter: IntRange | FloatRange) -> Any:
    """The greatest value that its steps reach."""
    if parameter.step is None:
        return parameter.high
    low, high, step = (Decimal(str(value)) for value in (parameter.low, parameter.high, parameter.step))
    return type(parameter.high)((high - low) // step * step + low)


def _suggested(trial: optuna.trial.Trial, name: str, parameter: ParameterSpec) -> Any:
    if isinstance(parameter, Choice):
        return parameter.values[trial.suggest_categorical(name, tuple(range(len(parameter.values))))]
    if isinstance(parameter, IntRange):
        return trial.suggest_int(name, parameter.low, _last(parameter), step=parameter.step or 1, log=parameter.log)
    return trial.suggest_float(name, parameter.low, _last(parameter), step=parameter.step, log=parameter.log)


def _sampler(searcher: Searcher, seed: int) -> BaseSampler:
    if searcher == "random":
        return RandomSampler(seed=seed)
    if searcher == "cmaes":
        return CmaEsSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)
    with warnings.catch_warnings():
        # the group option has been experimental since 2021
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True)


def _key(config: Config | Sequence[Any]) -> str:
    return json.dumps(config, sort_keys=True, default=str)
