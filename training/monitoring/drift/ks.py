"""Kolmogorov-Smirnov: the largest difference between two distribution functions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.stats import ks_2samp

from training.monitoring.drift.base import DriftTest, Measure, NumericSample, Sample, SampleKind

MEAN_SQUARE = np.pi**2 / 12
"""Of sup |B(u)| over a Brownian bridge B: of the scaled statistic without drift."""


class KolmogorovSmirnov(DriftTest):
    """The effect is the statistic: a shift of d standard deviations of a normal column gives 2 Phi(d / 2) - 1.

    Where values repeat, the p-value is too large, never too small.
    """

    name: ClassVar[str] = "ks"
    kinds: ClassVar[tuple[SampleKind, ...]] = ("numeric",)
    min_effect: ClassVar[float] = 0.02

    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""
        if not (isinstance(reference, NumericSample) and isinstance(window, NumericSample)):
            raise TypeError("ks compares numbers")
        found = ks_2samp(reference.values, window.values, method="asymp")
        noise = np.sqrt(MEAN_SQUARE * (1 / len(reference) + 1 / len(window)))
        return Measure(float(found.statistic), float(found.pvalue), float(found.statistic), float(noise))
