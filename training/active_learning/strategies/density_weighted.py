"""Uncertain rows that many others are like."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import uncertainty_scores
from sklearn.metrics import pairwise_distances

from training.active_learning.diversity import SHORTLIST, spread
from training.active_learning.strategies.base import CLASSIFICATION, MIN_SHORTLIST, BatchStrategy, Picks
from training.active_learning.view import View

BETA = 1.0


class DensityWeighted(BatchStrategy):
    """Information density: Settles and Craven 2008, "An Analysis of Active Learning Strategies for Sequence Labeling
    Tasks" (EMNLP), section 3.6; similarity is 1 / (1 + distance)."""

    name: ClassVar[str] = "density_weighted"
    tasks = CLASSIFICATION
    needs_model = True

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        density = (1.0 / (1.0 + pairwise_distances(view.embedding))).mean(axis=1)
        scores = uncertainty_scores(view.scores, method="entropy") * density**BETA
        shortlist = np.argsort(-scores, kind="stable")[: max(MIN_SHORTLIST, SHORTLIST * size)]
        chosen = shortlist[spread(view.embedding[shortlist], scores[shortlist], size)]
        return Picks(chosen, scores[chosen])
