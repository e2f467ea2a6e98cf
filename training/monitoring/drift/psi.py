"""Population stability index."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.stats import chi2

from training.monitoring.drift.base import DriftTest, Measure, Sample, SampleKind, paired_counts, shares


class PopulationStability(DriftTest):
    """PSI over the reference's deciles or the labels: the sum of (p - q) ln(p / q).

    The effect is its root, which like the other effects grows with the shift itself and not with its square (the usual
    bounds of 0.1 and 0.25 are 0.32 and 0.5 here). Without drift PSI / (1/n + 1/m) has a chi-square law with one degree
    of freedom less than there are cells (Yurdakul 2018, "Statistical Properties of Population Stability Index").
    """

    name: ClassVar[str] = "psi"
    kinds: ClassVar[tuple[SampleKind, ...]] = ("numeric", "categorical")
    min_effect: ClassVar[float] = 0.05

    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""
        before, after = paired_counts(reference, window)
        if len(before) < 2:
            return Measure(0.0, 1.0, 0.0, 0.0)
        first, second = shares(before, after)
        index = float(((second - first) * np.log(second / first)).sum())
        rate, freedom = 1 / before.sum() + 1 / after.sum(), len(before) - 1
        return Measure(index, float(chi2.sf(index / rate, freedom)), np.sqrt(index), float(np.sqrt(freedom * rate)))
