"""Tests of drift in one column."""

from collections.abc import Mapping

from training.monitoring.drift.base import (
    CategoricalSample,
    DriftTest,
    Measure,
    NumericSample,
    Sample,
    SampleKind,
    kind_of,
)
from training.monitoring.drift.chi_square import ChiSquare
from training.monitoring.drift.jensen_shannon import JensenShannon
from training.monitoring.drift.ks import KolmogorovSmirnov
from training.monitoring.drift.psi import PopulationStability
from training.monitoring.drift.wasserstein import Wasserstein

_TESTS: tuple[DriftTest, ...] = (
    KolmogorovSmirnov(),
    Wasserstein(),
    JensenShannon(),
    PopulationStability(),
    ChiSquare(),
)
DRIFT_TESTS: Mapping[str, DriftTest] = {test.name: test for test in _TESTS}
"""By name."""
if len(DRIFT_TESTS) < len(_TESTS):
    raise ValueError("two drift tests have the same name")

__all__ = [
    "DRIFT_TESTS", "CategoricalSample", "DriftTest", "Measure", "NumericSample", "Sample", "SampleKind", "kind_of",
]  # fmt: skip
