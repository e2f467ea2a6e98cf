"""Rows that leave no candidate far from a labelled one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import CoreSet as GreedyCenters

from training.active_learning.strategies.base import BatchStrategy, Picks
from training.active_learning.view import View


class CoreSet(BatchStrategy):
    """Greedy k-center: Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach" (ICLR), arXiv:1708.00489. The score is the distance to the nearest chosen or labelled row."""

    name: ClassVar[str] = "core_set"

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        labelled = view.labelled_embedding
        X = np.concatenate([labelled, view.embedding])
        y = np.concatenate([np.zeros(len(labelled)), np.full(len(view), np.nan)])
        strategy = GreedyCenters(random_state=view.seed)
        rows, utilities = strategy.query(X, y, batch_size=size, return_utilities=True)
        scores = np.array([utilities[place][row] for place, row in enumerate(rows)])
        return Picks(np.asarray(rows, dtype=np.int64) - len(labelled), np.nan_to_num(scores))
