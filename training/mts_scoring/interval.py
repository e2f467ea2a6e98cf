"""An interval around each prediction of a regression."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictionInterval:
    """The true value lies within `margin` of the prediction with a probability of `coverage`."""

    coverage: float
    margin: float
