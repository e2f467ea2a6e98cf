"""Rows that lie apart from one another, in proportion to where candidates are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.cluster import kmeans_plusplus

from training.active_learning.strategies.base import BatchStrategy, Picks
from training.active_learning.view import View


class KMeansPlusPlus(BatchStrategy):
    """Seeds of k-means++: Arthur and Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding" (SODA)."""

    name: ClassVar[str] = "kmeans"

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        _, rows = kmeans_plusplus(view.embedding, size, random_state=view.seed)
        # where rows lie on top of one another in the embedding a seed may come twice
        rest = np.setdiff1d(np.arange(len(view)), rows)
        chosen = np.concatenate([np.unique(rows), rest])[:size].astype(np.int64)
        return Picks(chosen, np.ones(len(chosen)))
