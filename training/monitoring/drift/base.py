"""What a drift test is: one column of a window against the same column of the reference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
SampleKind = Literal["numeric", "categorical"]

MAX_CATEGORIES = 50
"""Categories of the reference that are compared one by one; the rest is one."""
MIN_EXPECTED = 5.0
"""A cell with a smaller expected count joins another: below it the chi-square law does not hold (Cochran 1954)."""
BINS = 10
"""Bins of a numeric column, at the reference's deciles."""


@dataclass(frozen=True)
class NumericSample:
    """Values that are there, ascending, [n]."""

    values: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> NumericSample:
        """Leaves missing values out and sorts the rest."""
        return cls(np.sort(values[np.isfinite(values)]))

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def edges(self) -> FloatArray:
        """Inner bounds of BINS bins with equal counts, fewer where values repeat; around the value of a constant."""
        if self.values[0] == self.values[-1]:
            return np.array([self.values[0], np.nextafter(self.values[0], np.inf)])
        inner = np.unique(np.quantile(self.values, np.linspace(0, 1, BINS + 1)[1:-1]))
        return inner[inner > self.values[0]] if len(inner) else inner

    def histogram(self, edges: FloatArray) -> FloatArray:
        """Counts of the bins that the bounds cut, [len(edges) + 1]; a value on a bound is above it."""
        below = np.searchsorted(self.values, edges, side="left")
        return np.diff(np.concatenate([[0], below, [len(self.values)]])).astype(np.float64)


@dataclass(frozen=True)
class CategoricalSample:
    """How often each label is there; missing values are left out."""

    counts: Mapping[str, int]

    def __len__(self) -> int:
        return sum(self.counts.values())


Sample = NumericSample | CategoricalSample


@dataclass(frozen=True)
class Measure:
    """What a test found.

    `effect`: how large the difference is, on the test's own scale, whatever the number of rows. `noise`: the effect to
    be expected without any drift, as a root mean square; it falls with the number of rows.
    """

    statistic: float
    p_value: float
    effect: float
    noise: float

    @property
    def excess(self) -> float:
        """The effect beyond what the numbers of rows alone explain."""
        return float(np.sqrt(max(0.0, self.effect**2 - self.noise**2)))


class DriftTest(ABC):
    """Compares two samples of one column.

    Stateless, deterministic, safe to use from several threads; does not change the samples. Without drift p_value is
    uniform on [0, 1] or larger; `effect` is 0 for equal samples and grows with the difference; swapping rows within a
    sample changes nothing. Both samples hold at least one value.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[SampleKind, ...]]
    min_effect: ClassVar[float]
    """A smaller effect is never called drift, however many rows say that it is there."""

    @abstractmethod
    def measure(self, reference: Sample, window: Sample) -> Measure:
        """Compares the window with the reference."""


def kind_of(sample: Sample) -> SampleKind:
    """Which tests fit."""
    return "numeric" if isinstance(sample, NumericSample) else "categorical"


def paired_counts(reference: Sample, window: Sample) -> tuple[FloatArray, FloatArray]:
    """Counts of both samples in the same cells, [cells] each; cells that are too small for a law are joined."""
    if isinstance(reference, NumericSample) and isinstance(window, NumericSample):
        edges = reference.edges
        return _joined(reference.histogram(edges), window.histogram(edges))
    if isinstance(reference, CategoricalSample) and isinstance(window, CategoricalSample):
        return _joined(*_by_label(reference, window))
    raise TypeError("a numeric sample is compared with a numeric one, a categorical with a categorical one")


def shares(reference: FloatArray, window: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Counts as shares of their sum, with half a row in each cell, so that none is empty."""
    first, second = reference + 0.5, window + 0.5
    return first / first.sum(), second / second.sum()


def _by_label(reference: CategoricalSample, window: CategoricalSample) -> tuple[FloatArray, FloatArray]:
    frequent = sorted(reference.counts, key=lambda label: (-reference.counts[label], label))[:MAX_CATEGORIES]
    known = set(frequent)
    tables = []
    for sample in (reference, window):
        rest = sum(count for label, count in sample.counts.items() if label not in known)
        tables.append(np.array([*(sample.counts.get(label, 0) for label in frequent), rest], dtype=np.float64))
    return tables[0], tables[1]


def _joined(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Joins the cells whose expected count is below MIN_EXPECTED in either sample, smallest first, into one."""
    there = first + second > 0
    first, second = first[there], second[there]
    total = first + second
    least = min(first.sum(), second.sum()) / total.sum()
    order = np.argsort(-total, kind="stable")
    first, second, total = first[order], second[order], total[order]
    keep = max(1, int((total * least >= MIN_EXPECTED).sum()))
    if keep == len(total):
        return first, second
    rest = total[keep:].sum()
    if rest * least < MIN_EXPECTED:
        keep = max(1, keep - 1)
    joined = [np.append(cells[:keep], cells[keep:].sum()) for cells in (first, second)]
    return joined[0], joined[1]
