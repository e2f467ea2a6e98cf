"""When a search has seen enough."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from training.result import TrialRow
from training.spec import StopSpec
from training.tuning.objective import Goal, is_maximized
from training.tuning.space import Space

NOISE_AFTER_TRIALS = 15
"""Before so many trials an estimate of the gain that can still be expected means little."""
CANDIDATES = 512
MAX_MODELLED_TRIALS = 200
LENGTHS, NOISES = (0.05, 20.0), (1e-6, 1.0)
"""Bounds of the process's lengths in the unit cube, and of its noise as a share of the spread of the trials."""


@dataclass
class StopRule:
    """Target and patience, trial by trial in the order in which they end."""

    stop: StopSpec
    goal: Goal
    _best: float = -np.inf
    _since: int = 0

    def learn(self, row: TrialRow) -> None:
        """A trial is over."""
        gain = self.goal.gains(row.values)[0] if row.status == "COMPLETE" and row.feasible else -np.inf
        self._since = 0 if gain > self._best + self.stop.min_gain else self._since + 1
        self._best = max(self._best, gain)

    def reason(self) -> str | None:
        """Why to end the search; None to go on."""
        stop, first = self.stop, self.goal.first
        if stop.target is not None and self._best >= (stop.target if is_maximized(first) else -stop.target):
            return f"target: {first} reached {stop.target:g}"
        if stop.patience is not None and self._since >= stop.patience:
            return f"patience: {self._since} trials without a better {first}"
        return None


def expected_gain(space: Space, goal: Goal, rows: Sequence[TrialRow], seed: int) -> float:
    """The greatest expected improvement over the best trial, in units of the first objective; infinite while there are
    too few trials to tell.

    A Gaussian process over the space (Jones, Schonlau, Welch 1998, "Efficient global optimization"); to stop where the
    gain is below the noise of the objective is the rule of Makarova et al. 2022, "Automatic termination for
    hyperparameter optimization", arXiv:2104.08166.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - rarely asked for
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415 - rarely asked for
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel  # noqa: PLC0415

    known = [row for row in rows if row.status == "COMPLETE"][-MAX_MODELLED_TRIALS:]
    points = [space.unit_point(row.params) for row in known]
    if len(known) < NOISE_AFTER_TRIALS:
        return float("inf")
    gains = np.array([goal.gains(row.values)[0] for row in known])
    spread = float(gains.std())
    if spread == 0.0:
        return 0.0
    # a few very bad trials would hide the differences that count
    clipped = np.maximum(gains, np.median(gains) - 3.0 * spread)
    mean, deviation = float(clipped.mean()), float(clipped.std()) or 1.0
    kernel = Matern(np.ones(len(points[0])), LENGTHS, nu=2.5) + WhiteKernel(1e-2, NOISES)
    process = GaussianProcessRegressor(kernel, random_state=seed, n_restarts_optimizer=0)
    with warnings.catch_warnings():
        # a length at its bound is a parameter that does not matter
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(np.array(points), (clipped - mean) / deviation)
    candidates = np.random.default_rng(seed + len(rows)).random((CANDIDATES, len(points[0])))
    expected, uncertain = process.predict(candidates, return_std=True)
    best = (clipped.max() - mean) / deviation
    z = (expected - best) / np.maximum(uncertain, 1e-12)
    improvement = (expected - best) * norm.cdf(z) + uncertain * norm.pdf(z)
    return float(improvement.max() * deviation)
