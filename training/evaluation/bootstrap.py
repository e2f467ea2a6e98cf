"""Percentile bootstrap (Efron 1979) of all metrics of a task at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from training.evaluation.drawing import draw_counts
from training.evaluation.statistic import Buffers, FloatArray, IntArray, RowWeights, Statistic
from training.result import Interval

CHUNK_CELLS = 2**19
"""Resamples are made in chunks of about so many cells: more no longer fit a core's cache, and with fewer the threads
wait for each other."""

BIASED_UPWARD = {"ece"}
MIN_DEFINED_SHARE = 0.5
"""An interval is given only when the metric is defined in at least this share of the resamples."""


class ResamplingOptions(TypedDict, total=False):
    """Keyword arguments of `Resampling`, for the functions that pass them on."""

    bootstrap_samples: int
    confidence: float
    seed: int
    threads: int


@dataclass(frozen=True)
class Resampling:
    """How intervals are made. The same seed gives the same intervals, whatever the number of threads."""

    bootstrap_samples: int = 1000
    confidence: float = 0.95
    seed: int = 0
    threads: int = 1


def replicates(statistic: Statistic, weight: FloatArray | None, resampling: Resampling) -> FloatArray:
    """Metrics of each resample, [bootstrap_samples, len(statistic.metrics)].

    Rows are drawn with replacement, as many as there are; a drawn row keeps its weight.
    """
    rows = len(statistic.order)
    own_weight = None if weight is None else weight[statistic.order]
    size = max(1, CHUNK_CELLS // rows)
    starts = range(0, resampling.bootstrap_samples, size)
    buffers = Buffers()

    def chunk(start: int) -> FloatArray:
        samples = min(size, resampling.bootstrap_samples - start)
        counts = draw_counts(rows, samples, (resampling.seed, start), buffers)
        if own_weight is None:
            return statistic(counts)
        weighted = buffers.get("weighted", counts.shape)
        np.multiply(counts, own_weight, out=weighted)
        return statistic(weighted)

    parts = _mapped(chunk, starts, resampling.threads)
    return np.concatenate(parts) if parts else np.empty((0, len(statistic.metrics)))


def intervals(statistic: Statistic, weight: FloatArray | None, resampling: Resampling) -> dict[str, Interval]:
    """Value and percentile interval of each metric; None where it is undefined."""
    every_row = np.ones((1, len(statistic.order)), np.int64) if weight is None else weight[None, statistic.order]
    values = statistic(every_row)[0]
    samples = replicates(statistic, weight, resampling)
    return {
        metric: _interval(
            values[position], _without_bias(metric, values[position], samples[:, position]), resampling.confidence
        )
        for position, metric in enumerate(statistic.metrics)
    }


class Difference:
    """The gain of one statistic over another on the same rows, so that both see the same resamples.

    Args:
        new: metrics of the one.
        old: the same metrics of the other.
        signs: [metrics] 1.0 where greater is better, -1.0 where smaller is.
    """

    def __init__(self, new: Statistic, old: Statistic, signs: FloatArray) -> None:
        self.metrics = tuple(f"gain in {metric}" for metric in new.metrics)
        self.order: IntArray = np.arange(len(new.order), dtype=np.int64)
        self._new, self._old, self._signs = new, old, signs
        self._buffers = Buffers()

    def __call__(self, weights: RowWeights) -> FloatArray:
        """Gains of each resample, [b, len(metrics)]; positive is better."""
        own = self._buffers.get("own", weights.shape, weights.dtype)
        np.take(weights, self._new.order, axis=1, out=own, mode="clip")
        new = self._new(own)
        np.take(weights, self._old.order, axis=1, out=own, mode="clip")
        return self._signs * (new - self._old(own))


def _without_bias(metric: str, value: float, samples: FloatArray) -> FloatArray:
    """Replicates moved so that their median is the value, for a metric whose resamples are all too large.

    The calibration error is a mean of absolute deviations, to which resampling adds noise of its own: unmoved, the
    interval often lies wholly above the value (Kumar, Liang and Ma 2019, section 5, on the bias of the plug-in).
    """
    if metric not in BIASED_UPWARD or len(samples) == 0:
        return samples
    moved: FloatArray = np.maximum(samples - (np.nanmedian(samples) - value), 0.0)
    return moved


def _interval(value: float, samples: FloatArray, confidence: float) -> Interval:
    if math.isnan(value):
        return Interval(value=None)
    defined = samples[~np.isnan(samples)]
    if len(defined) == 0 or len(defined) < MIN_DEFINED_SHARE * len(samples):
        return Interval(value=float(value))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(value=float(value), low=float(low), high=float(high))


def _mapped(chunk: Callable[[int], FloatArray], starts: range, threads: int) -> list[FloatArray]:
    if threads <= 1 or len(starts) <= 1:
        return [chunk(start) for start in starts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(chunk, starts))
