"""What a bundle of metrics is to the bootstrap, and the sums that several of them need."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
RowWeights = npt.NDArray[Any]
"""[b, n]: for each of b resamples, how much each of n rows counts. Counts, or counts times weights."""

ECE_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017; fewer hide miscalibration, more add noise."""

FEWEST_TOGETHER = 500
"""numpy lets other threads run while it adds up one line, or at least so many lines, but not in between."""


class Statistic(Protocol):
    """Several metrics of fixed rows as a function of the rows' weights.

    All that does not depend on the weights (sorting, logarithms) is done once, when it is built. Safe to call from
    several threads at once; never changes the weights.
    """

    metrics: tuple[str, ...]
    order: IntArray
    """[n]: the row that stands at each position of the weights."""

    def __call__(self, weights: RowWeights) -> FloatArray:
        """Metrics of each resample, [b, len(metrics)]; NaN where a metric is undefined."""


class Buffers(threading.local):
    """Arrays that are used again and again, apart for each thread.

    A fresh array of megabytes costs more in page faults than the arithmetic that fills it: without this, the bootstrap
    of 200,000 rows takes three times as long.
    """

    def __init__(self) -> None:
        self._held: dict[str, npt.NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
        """The thread's array of that name, with whatever was left in it."""
        held = self._held.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            held = self._held[name] = np.empty(shape, dtype)
        return held


class GroupSums:
    """Sums of columns by group: [b, n] values to [b, groups].

    Args:
        codes: [n] group of each column, in [0, groups); -1 belongs to none.
        groups: how many groups.
    """

    def __init__(self, codes: npt.NDArray[np.integer[Any]], groups: int) -> None:
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        self._order = order[ordered >= 0]
        self._present, self._starts = np.unique(ordered[ordered >= 0], return_index=True)
        self._groups = groups
        self._in_place = bool(np.array_equal(self._order, np.arange(len(codes))))

    def __call__(self, values: npt.NDArray[Any]) -> FloatArray:
        """Sums of each group; 0 for a group without columns."""
        sums = np.zeros((len(values), self._groups))
        if len(self._order):
            ordered = values if self._in_place else values.take(self._order, axis=1)
            sums[:, self._present] = sums_between(ordered, self._starts)
        return sums


def cumulative_sums(values: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Cumulative sums of each line, [b, n], into an array of that shape."""
    if len(values) >= FEWEST_TOGETHER:
        np.cumsum(values, axis=1, out=out)
        return
    for line, sums in zip(values, out, strict=True):
        np.cumsum(line, out=sums)


def sums_between(values: npt.NDArray[Any], starts: IntArray) -> npt.NDArray[Any]:
    """Sums of each line from one start to the next, [b, len(starts)]."""
    if len(values) >= FEWEST_TOGETHER:
        return np.add.reduceat(values, starts, axis=1)
    return np.stack([np.add.reduceat(line, starts) for line in values])


def calibration_bins(scores: FloatArray) -> IntArray:
    """Bin of each score: equal widths on [0, 1], each closed on the right."""
    edges = np.linspace(0.0, 1.0, ECE_BINS + 1)[1:-1]
    return np.searchsorted(edges, scores, side="left").astype(np.int64)


def weighted_sums(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Sum over rows of weight times value, [b].

    einsum and not `@`: the order of BLAS's additions depends on its number of threads, and so would the last digits.
    """
    sums: FloatArray = np.einsum("bn,n->b", weights, values)
    return sums


def as_floats(weights: RowWeights, buffers: Buffers) -> FloatArray:
    """The weights as float64; a copy only where they are counts."""
    if weights.dtype == np.float64:
        return weights
    floats = buffers.get("as_floats", weights.shape)
    np.copyto(floats, weights)
    return floats


def ratio(numerator: RowWeights, denominator: RowWeights) -> FloatArray:
    """Quotient, NaN where the denominator is 0."""
    undefined = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return undefined
