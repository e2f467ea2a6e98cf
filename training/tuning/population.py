"""Population-based training: members that learn side by side, stage by stage, and take over from each other.

Jaderberg et al. 2017, "Population based training of neural networks", arXiv:1711.09846, as trials that are each one
stage of one member (Li et al. 2019, "A generalized framework for population based training", arXiv:1902.01894).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.spec import Choice, IntRange, ParameterSpec
from training.tuning.objective import is_rising
from training.tuning.space import Config, Space
from training.tuning.work import TrialOutcome

STAGES = 8
QUANTILE = 0.25
"""So many of the worst members go on from a copy of one of as many of the best."""
RESAMPLED = 0.25
"""Share of the values that are drawn anew in a copy; the others are changed by one of the FACTORS."""
FACTORS = (0.8, 1.2)
STALE_STAGES = 2
"""The search ends when the best value has not risen for so many stages."""


@dataclass
class Member:
    """One member: its values now, those of its stages so far, and how it does.

    A copy takes over stages, curve and findings of the member that it is a copy of.
    """

    number: int
    config: Config
    schedule: list[Config] = field(default_factory=list)
    outcome: TrialOutcome | None = None

    def trained(self, outcome: TrialOutcome) -> None:
        """A stage is done."""
        before = self.outcome.curve if self.outcome else []
        self.schedule = [*self.schedule, self.config]
        self.outcome = TrialOutcome(
            outcome.values, outcome.facts, [*before, *outcome.curve], outcome.curve_metric, outcome.score
        )

    def score(self) -> float:
        """How it does at the end of its last stage, more is better."""
        if self.outcome is None or not self.outcome.curve or self.outcome.curve_metric is None:
            return -math.inf
        value = self.outcome.curve[-1][1]
        return value if is_rising(self.outcome.curve_metric) else -value


def successions(members: Sequence[Member], generator: np.random.Generator) -> list[tuple[Member, Member]]:
    """Who goes on as a copy of whom, each the worse one first.

    Member 0, the default configuration, is never replaced: it shows what the search gains.
    """
    ranked = sorted(members, key=lambda member: (member.score(), -member.number))
    count = min(len(ranked) // 2, max(1, round(QUANTILE * len(ranked))))
    best = ranked[len(ranked) - count :]
    worst = [member for member in ranked[:count] if member.number != 0]
    return [(member, best[int(generator.integers(len(best)))]) for member in worst]


def explored(space: Space, config: Config, generator: np.random.Generator) -> Config:
    """A configuration near the given one: each value changed a little, or drawn anew."""
    whole = {name: config.get(name, space.defaults.get(name)) for name in space.parameters}
    return {name: _changed(space.parameters[name], value, generator) for name, value in whole.items()}


def _changed(parameter: ParameterSpec, value: Any, generator: np.random.Generator) -> Any:
    is_drawn = generator.random() < RESAMPLED
    if isinstance(parameter, Choice):
        places = len(parameter.values)
        if is_drawn or value not in parameter.values:
            return parameter.values[int(generator.integers(places))]
        step = (-1, 1)[int(generator.integers(2))]
        return parameter.values[min(max(parameter.values.index(value) + step, 0), places - 1)]
    if is_drawn or isinstance(value, bool) or not isinstance(value, int | float):
        found = _drawn(parameter.low, parameter.high, generator.random(), log=parameter.log)
    else:
        found = value * FACTORS[int(generator.integers(2))]
    if parameter.step:
        found = parameter.low + round((found - parameter.low) / parameter.step) * parameter.step
    held = min(max(found, parameter.low), parameter.high)
    return round(held) if isinstance(parameter, IntRange) else float(held)


def _drawn(low: float, high: float, share: float, *, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)
