"""Jensen-Shannon distance between binned distributions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from training.monitoring.drift.base import DriftTest, Measure, Sample, SampleKind, paired_counts, shares


class JensenShannon(DriftTest):
    """The root of the Jensen-Shannon divergence in nats (Lin 1991), over the reference's deciles or the labels.

    For close distributions the divergence is one eighth of the sum of (p - q)^2 / m, so that, without drift,
    8 JSD / (1/n + 1/m) has a chi-square law with one degree of freedom less than there are cells.
    """

    name: ClassVar[str] = "jensen_shannon"
    kinds: ClassVar[tuple[SampleKind, ...]] = ("numeric", "categorical")
    min_effect: ClassVar[float] = 0.02

    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""
        before, after = paired_counts(reference, window)
        if len(before) < 2:
            return Measure(0.0, 1.0, 0.0, 0.0)
        distance = float(jensenshannon(*shares(before, after)))
        rate, freedom = 1 / before.sum() + 1 / after.sum(), len(before) - 1
        p_value = chi2.sf(8 * distance**2 / rate, freedom)
        return Measure(distance, float(p_value), distance, float(np.sqrt(freedom * rate / 8)))
