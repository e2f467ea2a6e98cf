"""The entropy of the probabilities, in nats."""

from __future__ import annotations

from typing import ClassVar

from skactiveml.pool import uncertainty_scores

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class Entropy(ScoreStrategy):
    """Uncertainty sampling: Settles 2009, "Active Learning Literature Survey", section 3.1."""

    name: ClassVar[str] = "entropy"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n]."""
        scores: Floats = uncertainty_scores(view.scores, method="entropy")
        return scores
