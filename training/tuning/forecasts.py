"""What a trial that is still learning will come to, judged by the trials that ran to their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from training.result import TrialRow
from training.tuning.objective import Goal, is_rising
from training.tuning.space import Space

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

Floats = npt.NDArray[np.float64]
Curve = list[tuple[int, float]]
"""Steps, and the value of a metric on the validation rows after each."""

WHOLE_TRIALS = 10
"""Trials that have to run to their end before anything is forecast."""
MAX_MODELLED_TRIALS = 200
LOOKS_BACK = (8, 4, 2, 1)
"""A curve is seen at its last step, and at the steps that are so many times nearer to its beginning."""
LENGTHS, NOISES = (1.5, 3.0, 6.0), (1e-3, 1e-2, 1e-1, 0.5)
"""Of the process, in standard deviations; the likeliest pair is taken."""
RECHOSEN_AFTER = 1.25
"""Lengths and noise are chosen again once there are so many times the trials."""


@dataclass(frozen=True)
class Forecast:
    """Of the first objective, turned so that more is better."""

    gain: float
    deviation: float


@dataclass
class Forecasts:
    """A Gaussian process from parameters and the beginning of a learning curve to the first objective at its end.

    Baker, Gupta, Raskar, Naik 2018, "Accelerating neural architecture search using performance prediction",
    arXiv:1705.10823; a trial's chance to become the best is what Domhan, Springenberg, Hutter 2015, "Speeding up
    automatic hyperparameter optimization of deep neural networks by extrapolation of learning curves", end trials by.
    The beginning of a curve alone says little of its end, for the learning rate decides how it goes on
    (docs/lessons.md).
    """

    space: Space
    goal: Goal
    _rows: list[TrialRow] = field(default_factory=list)
    _chosen: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    """By the number of features: how many trials there were, length, noise."""

    def learn(self, row: TrialRow) -> None:
        """A trial is over; one that ended early says nothing of ends."""
        values = [value for _, value in row.curve]
        if row.status == "COMPLETE" and values and np.isfinite([*values, *self.goal.gains(row.values)]).all():
            self._rows = [*self._rows, row][-MAX_MODELLED_TRIALS:]

    def of(self, params: Mapping[str, Any], curve: Curve, metric: str | None) -> Forecast | None:
        """What a trial will come to; None where there is too little to learn from."""
        if len(self._rows) < WHOLE_TRIALS or not curve or metric is None:
            return None
        steps = sorted({curve[-1][0] // part for part in LOOKS_BACK} - {0})
        asked = np.array(self._seen(params, curve, metric, steps))
        if not np.isfinite(asked).all():
            return None
        known = np.array([self._seen(row.params, row.curve, row.curve_metric, steps) for row in self._rows])
        centre, scale = known.mean(axis=0), known.std(axis=0)
        scale[scale == 0.0] = 1.0
        gains = self._gains()
        mean, spread = gains.mean(), gains.std() or 1.0
        process = self._fitted((known - centre) / scale, (gains - mean) / spread)
        found, deviation = process.predict(((asked - centre) / scale)[None], return_std=True)
        return Forecast(float(mean + spread * found[0]), float(spread * deviation[0]))

    def chance(self, params: Mapping[str, Any], curve: Curve, metric: str | None) -> float | None:
        """That a trial becomes the best; None where nothing can be forecast."""
        forecast = self.of(params, curve, metric)
        best = max((self._gain(row) for row in self._rows if self.goal.violation(row.values) == 0.0), default=None)
        if forecast is None or best is None:
            return None
        return float(norm.sf(best, forecast.gain, max(forecast.deviation, 1e-12)))

    def _gain(self, row: TrialRow) -> float:
        return self.goal.gains(row.values)[0]

    def _gains(self) -> Floats:
        """Of all trials; a few very bad ones would hide the differences that count."""
        gains = np.array([self._gain(row) for row in self._rows])
        clipped: Floats = np.maximum(gains, np.median(gains) - 3.0 * gains.std())
        return clipped

    def _seen(self, params: Mapping[str, Any], curve: Curve, metric: str | None, steps: list[int]) -> list[float]:
        """The parameters, the best value until the first step, and what it gains from step to step."""
        at, values = np.array(curve, dtype=np.float64).T
        until = np.maximum.accumulate(values if is_rising(str(metric)) else -values)
        heights = np.interp(steps, at, until)
        return [*self.space.unit_point(params), heights[0], *np.diff(heights)]

    def _fitted(self, points: Floats, gains: Floats) -> GaussianProcessRegressor:
        count, width = points.shape
        chosen = self._chosen.get(width)
        if chosen is not None and count < RECHOSEN_AFTER * chosen[0]:
            return _process(points, gains, *chosen[1:])
        tried = [(_process(points, gains, length, noise), length, noise) for length in LENGTHS for noise in NOISES]
        process, length, noise = max(tried, key=lambda one: one[0].log_marginal_likelihood_value_)
        self._chosen[width] = count, length, noise
        return process


def _process(points: Floats, gains: Floats, length: float, noise: float) -> GaussianProcessRegressor:
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415 - half a second, for searches only
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel  # noqa: PLC0415 - as above

    kernel = Matern(length, nu=2.5) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, optimizer=None).fit(points, gains)
