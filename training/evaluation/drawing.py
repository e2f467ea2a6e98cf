"""How often each row is drawn in a resample: multinomial counts, for a fraction of the time of drawing row by row."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.stats import poisson

from training.evaluation.statistic import Buffers, FloatArray, IntArray

CELLS = 2**16
"""A count is looked up by 16 random bits in a table of so many cells."""

MOST_COUNTED = 24
"""Poisson counts of a mean below 1 are larger once in 10^24 draws."""

SHORTFALL = 5.0
"""Standard deviations by which the Poisson counts are expected to sum to less than the number of rows."""

UNSETTLED = -1
LARGEST_UINT64 = np.iinfo(np.uint64).max


def draw_counts(rows: int, samples: int, seed: tuple[int, int], buffers: Buffers) -> IntArray:
    """How often each row is drawn with replacement in each of `samples` resamples, [samples, rows].

    Each line sums to `rows` and is distributed as if its rows were drawn one by one. Independent Poisson counts given
    their sum are multinomial (Devroye 1986, "Non-Uniform Random Variate Generation", chapter XI), so counts of a mean
    a little below 1 are looked up, and only the rows that are then missing are drawn. A line that sums to more, about
    one in three million, is drawn row by row. Valid until the next call with these buffers in the same thread.
    """
    generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    counts: IntArray = buffers.get("counts", (samples, rows), np.int64)
    every = counts.reshape(-1)
    _look_up(_share_drawn_at_once(rows), generator, every)
    missing = rows - counts.sum(axis=1)
    beyond = missing < 0
    counts[beyond] = 0
    missing[beyond] = rows
    starts = np.repeat(np.arange(0, len(every), rows), missing)
    np.add.at(every, starts + generator.integers(0, rows, len(starts)), 1)
    return counts


def _share_drawn_at_once(rows: int) -> float:
    return max(0.0, 1.0 - SHORTFALL / math.sqrt(rows))


def _look_up(mean: float, generator: np.random.Generator, counts: IntArray) -> None:
    """Fills `counts` with Poisson variates: by the table, and where its cells are too coarse by a second draw."""
    table, rest = _poisson_table(mean)
    # Unlike `random_raw` of the bit generator, this lets other threads run meanwhile.
    bits = generator.integers(0, LARGEST_UINT64, -(-len(counts) // 4), np.uint64, endpoint=True)
    np.take(table, bits.view(np.uint16)[: len(counts)], out=counts, mode="clip")
    unsettled = np.flatnonzero(counts == UNSETTLED)
    counts[unsettled] = np.searchsorted(rest, generator.random(len(unsettled)), side="right")


@lru_cache(maxsize=16)
def _poisson_table(mean: float) -> tuple[IntArray, FloatArray]:
    """The count of each cell, and the cumulative distribution of the counts whose cell is unsettled.

    Each count has as many whole cells as its probability fills; what is left of its probability is drawn from the
    unsettled cells, so that the whole has no rounding.
    """
    filled = poisson.pmf(np.arange(MOST_COUNTED), mean) * CELLS
    whole = np.floor(filled).astype(np.int64)
    table = np.full(CELLS, UNSETTLED, np.int64)
    table[: whole.sum()] = np.repeat(np.arange(MOST_COUNTED), whole)
    rest = np.cumsum(filled - whole)
    return table, rest / rest[-1] if rest[-1] > 0 else rest
