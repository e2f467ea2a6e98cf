"""Wasserstein distance: how far values have moved, in standard deviations of the reference."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from training.monitoring.drift.base import DriftTest, FloatArray, Measure, NumericSample, Sample, SampleKind

GRID = 100
"""Points at which the quantile function and the bridges are taken."""
BRIDGES = 10_000
TAIL_SHARE = 0.02
"""The largest share of simulated values from which the tail beyond them is extended."""


class Wasserstein(DriftTest):
    """The first Wasserstein distance over the reference's standard deviation; the effect is the same number.

    Without drift, sqrt(nm / (n + m)) times the distance tends to the integral of |B(F(x))| dx, with B a Brownian bridge
    (del Barrio, Gine and Matran 1999). The law depends on the column: it is simulated from BRIDGES bridges that all
    columns share. Beyond what they reach, the tail is extended as exp(-c x^2), the form of the tail of such integrals.
    """

    name: ClassVar[str] = "wasserstein"
    kinds: ClassVar[tuple[SampleKind, ...]] = ("numeric",)
    min_effect: ClassVar[float] = 0.04

    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""
        if not (isinstance(reference, NumericSample) and isinstance(window, NumericSample)):
            raise TypeError("wasserstein compares numbers")
        scale = float(reference.values.std())
        if scale == 0:
            scale = float(np.abs(window.values - reference.values[0]).max()) or 1.0
        distance = float(wasserstein_distance(reference.values, window.values)) / scale
        law = null_law(reference.values, scale)
        rate = 1 / len(reference) + 1 / len(window)
        noise = float(np.sqrt((law**2).mean() * rate))
        if law[-1] == 0:
            # a reference of one value has no law to simulate; that of the distribution functions holds for any column
            p_value = float(ks_2samp(reference.values, window.values, method="asymp").pvalue)
        else:
            p_value = tail_probability(law, distance / np.sqrt(rate))
        return Measure(distance, p_value, distance, noise)


def null_law(values: FloatArray, scale: float) -> FloatArray:
    """Draws of the scaled distance without drift, ascending, [BRIDGES]."""
    steps = np.diff(np.quantile(values, np.linspace(0, 1, GRID + 1)))
    return np.sort(bridges() @ (steps / scale))


def tail_probability(law: FloatArray, value: float) -> float:
    """P(draw >= value), by counting where there are draws and by the extended tail beyond."""
    above = len(law) - int(np.searchsorted(law, value, side="left"))
    share = (above + 1) / (len(law) + 1)
    if share > TAIL_SHARE or law[-1] == law[0]:
        return min(1.0, share)
    cuts = np.array([1 - TAIL_SHARE, 1 - TAIL_SHARE / 10])
    low, high = np.quantile(law, cuts) ** 2
    slope = np.log(10) / max(high - low, 1e-12)
    return float(np.exp(np.log(TAIL_SHARE) - slope * (value**2 - low)))


@lru_cache(maxsize=1)
def bridges() -> FloatArray:
    """|B| at the middles of GRID equal steps of (0, 1), [BRIDGES, GRID]; always the same ones."""
    generator = np.random.default_rng(20_240_901)
    ends = np.linspace(0, 1, 2 * GRID + 1)
    walk = np.cumsum(generator.standard_normal((BRIDGES, 2 * GRID)) * np.sqrt(1 / (2 * GRID)), axis=1)
    bridge = walk - walk[:, -1:] * ends[1:]
    return np.abs(bridge[:, ::2])
