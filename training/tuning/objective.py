"""What a search optimises: metrics of the contract and costs, their directions, and bounds that trials must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.evaluation import greater_is_better, metrics_of
from training.spec.tune import CONSTRAINT

PREDICT_MS, FIT_S = "predict_ms", "fit_s"
COSTS = (PREDICT_MS, FIT_S)
"""Milliseconds to score 1,000 rows, and seconds of the fit; less is better."""
_TASKS = ("binary", "multiclass", "regression")
_RISING = frozenset(name for task in _TASKS for name in metrics_of(task) if greater_is_better(name))
"""Metrics of a curve of which more is better: of fits and of folds. Losses and errors of fits have many other names."""


def is_maximized(name: str) -> bool:
    """Whether more of an objective is better."""
    return name not in COSTS and greater_is_better(name)


def is_rising(name: str) -> bool:
    """Whether more of a curve's metric is better: of a running fit, such as `validation/log_loss`, or of folds."""
    return name.rpartition("/")[2] in _RISING


def known_objectives(task: str) -> tuple[str, ...]:
    """All that a search for the task can optimise."""
    return (*metrics_of(task), *COSTS)


@dataclass(frozen=True)
class Constraint:
    """A bound of a metric."""

    text: str
    metric: str
    is_upper: bool
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """From "ece <= 0.05"; raises ValueError for another form."""
        found = CONSTRAINT.match(text)
        if found is None:
            raise ValueError(f"{text!r} is no bound of a metric")
        return cls(text, found["metric"], found["sign"] == "<=", float(found["bound"]))

    def violation(self, values: Mapping[str, float]) -> float:
        """By how much it is broken; zero or less where it is kept, infinite where the metric has no value."""
        if self.metric not in values:
            return float("inf")
        over = values[self.metric] - self.bound
        return over if self.is_upper else -over


@dataclass(frozen=True)
class Goal:
    """Objectives, the most important first, and the constraints."""

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def first(self) -> str:
        """The objective that decides which trial is refitted."""
        return self.objectives[0]

    def gains(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The objectives' values with their signs turned so that more is better."""
        return tuple(values[name] if is_maximized(name) else -values[name] for name in self.objectives)

    def value(self, gain: float) -> float:
        """The first objective with its sign as it was."""
        return gain if is_maximized(self.first) else -gain

    def violation(self, values: Mapping[str, float]) -> float:
        """By how much the constraints are broken in sum; 0.0 where all are kept."""
        return sum(max(0.0, constraint.violation(values)) for constraint in self.constraints)

    def has_values(self, values: Mapping[str, float]) -> bool:
        """Whether every objective is defined."""
        return all(name in values for name in self.objectives)

    def rank(self, values: Mapping[str, float]) -> tuple[float, float]:
        """Greater is better: first those that keep the constraints, or break them least, then the first objective."""
        return -self.violation(values), self.gains(values)[0]


def pareto_front(gains: Sequence[tuple[float, ...]]) -> list[int]:
    """Places of the points that no other point beats: no worse in all, better in one. More is better."""

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and all(a >= b for a, b in zip(one, other, strict=True))

    return [place for place, point in enumerate(gains) if not any(beats(other, point) for other in gains)]
