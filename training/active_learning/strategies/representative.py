"""Typical rows of different kinds: what to label while there is no model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import TypiClust

from training.active_learning.strategies.base import BatchStrategy, Picks
from training.active_learning.view import View


class Representative(BatchStrategy):
    """The densest row of each cluster that has no label yet: Hacohen, Dekel and Weinshall 2022, "Active Learning on a
    Budget: Opposite Strategies Suit High and Low Budgets" (ICML), arXiv:2202.02794."""

    name: ClassVar[str] = "representative"
    max_candidates = 3_000

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        labelled = view.labelled_embedding
        X = np.concatenate([labelled, view.embedding])
        y = np.concatenate([np.zeros(len(labelled)), np.full(len(view), np.nan)])
        strategy = TypiClust(random_state=view.seed, cluster_algo_dict={"n_init": 1})
        rows, utilities = strategy.query(X, y, batch_size=size, return_utilities=True)
        scores = np.array([utilities[place][row] for place, row in enumerate(rows)])
        return Picks(np.asarray(rows, dtype=np.int64) - len(labelled), np.nan_to_num(scores, posinf=0.0))
