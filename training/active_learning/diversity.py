"""Batches without twins: few rows of a group, no two equal rows, and rows that lie apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.active_learning.rows import Floats, Indices

SHORTLIST = 5
"""Rows by score, for each one that is wanted, among which those that lie apart are chosen."""


def without_twins(duplicates: Indices, groups: Indices | None, max_per_group: int, order: Indices) -> Indices:
    """The rows of `order`, in that order, without equal rows and with at most so many of a group."""
    first = ~pd.Series(duplicates[order]).duplicated().to_numpy()
    order = order[first]
    if groups is not None:
        within = pd.Series(groups[order]).groupby(groups[order]).cumcount().to_numpy()
        order = order[within < max_per_group]
    return order


def spread(embedding: Floats, scores: Floats, size: int) -> Indices:
    """Chooses rows with high scores that lie apart: the best one, then each time the one with the greatest product of
    score and squared distance to those chosen (k-means++ of Arthur and Vassilvitskii 2007, weighted, without chance).

    Args:
        embedding: [n, d].
        scores: [n], higher is better.
        size: how many, at most n.

    Returns:
        [size] positions, in the order of choice.
    """
    low, high = float(scores.min()), float(scores.max())
    # even the last of the shortlist counts a little, else distance would not
    weights = 0.1 + (scores - low) / (high - low) if high > low else np.ones(len(scores))
    chosen = [int(np.argmax(weights))]
    nearest = _squared(embedding, chosen[0])
    while len(chosen) < min(size, len(scores)):
        gains = weights * nearest
        gains[chosen] = -1.0
        chosen.append(int(np.argmax(gains)))
        nearest = np.minimum(nearest, _squared(embedding, chosen[-1]))
    return np.asarray(chosen, dtype=np.int64)


def _squared(embedding: Floats, row: int) -> Floats:
    distances: Floats = ((embedding - embedding[row]) ** 2).sum(axis=1)
    return distances


def drawn(weights: Floats, size: int, seed: int) -> Indices:
    """Draws without replacement, each time with chances in proportion to the weights of what is left (Efraimidis and
    Spirakis 2006).

    Args:
        weights: [n], not negative; rows of weight 0 come last.
        size: how many, at most n.
        seed: the same draws the same.

    Returns:
        [size] positions, in the order in which they were drawn.
    """
    chances = np.log(np.maximum(weights, 1e-300)) + np.random.default_rng(seed).gumbel(size=len(weights))
    return np.argsort(-chances, kind="stable")[:size].astype(np.int64)


def alternating(first: Indices, second: Indices) -> Indices:
    """Both in their order and evenly mixed, so that whoever takes only some of them from the front has some of each."""
    places = [(np.arange(len(rows)) + 0.5) / len(rows) for rows in (first, second) if len(rows)]
    return np.concatenate([first, second])[np.argsort(np.concatenate(places), kind="stable")]
