"""Pearson's chi-square test of homogeneity."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.stats import chi2_contingency

from training.monitoring.drift.base import DriftTest, Measure, Sample, SampleKind, paired_counts


class ChiSquare(DriftTest):
    """Whether labels are as frequent as before. The effect is Cohen's w: the root of the sum of (p - q)^2 / q."""

    name: ClassVar[str] = "chi_square"
    kinds: ClassVar[tuple[SampleKind, ...]] = ("categorical",)
    min_effect: ClassVar[float] = 0.05

    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""
        before, after = paired_counts(reference, window)
        if len(before) < 2:
            return Measure(0.0, 1.0, 0.0, 0.0)
        statistic, p_value, freedom, _ = chi2_contingency(np.stack([before, after]), correction=False)
        both = (before + after) / (before + after).sum()
        effect = np.sqrt((((before / before.sum() - after / after.sum()) ** 2) / both).sum())
        noise = np.sqrt(freedom * (1 / before.sum() + 1 / after.sum()))
        return Measure(float(statistic), float(p_value), float(effect), float(noise))
