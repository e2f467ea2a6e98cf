"""When a trial says how it is doing, so that trials are compared at the same point of their learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from training.spec import ModelSpec
from training.tuning.objective import is_rising

REDUCTION = 2
"""Of the trials that reach a milestone one in so many goes on, the best; the next is so many times as far away."""
MAX_RUNG = REDUCTION**10
"""Beyond any milestone: where a trial that has run to its end counts as having been."""
MAX_CURVE_POINTS = 40
Pace = Literal["geometric", "even"]
Report = Callable[[int, float], None]
"""Called with the milestone and the best score so far, more is better; raises to end the trial."""

BOOSTING_START, EPOCHS_START = 16, 2
"""Rounds, or epochs, at the first milestone. Rounds are counted as they are, because they are what costs time: rounds
times learning rate never ended small learning rates, and led the sampler to slow fits (docs/lessons.md)."""


@dataclass
class Milestones:
    """Follows the steps of one fit; an `on_step` of FitContext.

    Args:
        report: hears of each milestone.
        start: steps at the first milestone.
        pace: geometric, each REDUCTION times as far as the last; or even, all equally far apart.
    """

    report: Report
    start: int
    pace: Pace = "geometric"
    metric: str | None = None
    points: list[tuple[int, float]] = field(default_factory=list)
    best: float = -math.inf
    reached: int = 0
    """The last milestone."""
    _rung: int = 1

    @classmethod
    def of(cls, model: ModelSpec, report: Report, pace: Pace) -> Milestones:
        """For a fit of the model."""
        return cls(report, BOOSTING_START if model.family == "xgboost" else EPOCHS_START, pace)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step is done."""
        self.metric, value = next((n, v) for n, v in metrics.items() if n.startswith("validation/"))
        self.points.append((step, value))
        self.best = max(self.best, value if is_rising(self.metric) else -value)
        reached = None
        while step >= self.start * self._rung:
            reached = self._rung
            self._rung = self._rung * REDUCTION if self.pace == "geometric" else self._rung + 1
        if reached is not None and reached < MAX_RUNG:
            self.reached = reached
            self.report(reached, self.best)

    def curve(self) -> list[tuple[int, float]]:
        """Some of the points, evenly spread, the last among them."""
        stride = max(1, math.ceil(len(self.points) / MAX_CURVE_POINTS))
        return self.points[::-1][::stride][::-1]
