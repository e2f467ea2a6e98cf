"""Rows of a fold that end its fits early: some of those that it could learn from, so that the held-out rows do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.data.fold_strategies import Pair
from training.errors import DataError
from training.models.pool import Fold, Pool, Positions, divided

PARTS = 8
"""One of so many parts of the rows that a fold may learn from ends its fits, where no rows were named for that."""


def steered(pool: Pool, fold: Fold, seed: int) -> Fold:
    """The fold with `steering` rows, which are neither learnt from nor held out, as the structure of the pool allows.

    Groups stay on one side, and over time the latest rows steer, by the gap after those that are learnt from. Where the
    groups or moments are too few for PARTS, more of the rows steer; none do where that leaves nothing to learn from.
    """
    if fold.steering is not None:
        return fold
    for count in range(PARTS, 1, -1):
        pair = _latest_pair(pool, fold.learnt, count, seed)
        if pair is not None:
            learnt, steering = pair
            return replace(fold, learnt=learnt, steering=steering)
    return fold


def _latest_pair(pool: Pool, rows: Positions, count: int, seed: int) -> Pair | None:
    try:
        pairs = divided(pool, rows, count, np.random.default_rng(seed))
    except DataError:  # too few for so many parts
        return None
    found = [pair for pair in pairs if len(pair[0]) and len(pair[1])]
    return found[-1] if found else None


def steering_rows(fold: Fold) -> Positions:
    """Positions of the rows that steer, none where there are none."""
    return np.zeros(0, np.int64) if fold.steering is None else fold.steering
