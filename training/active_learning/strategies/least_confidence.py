"""One minus the probability of the likeliest class."""

from __future__ import annotations

from typing import ClassVar

from skactiveml.pool import uncertainty_scores

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class LeastConfidence(ScoreStrategy):
    """Uncertainty sampling: Settles 2009, "Active Learning Literature Survey", section 3.1."""

    name: ClassVar[str] = "least_confidence"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n]."""
        scores: Floats = uncertainty_scores(view.scores, method="least_confident")
        return scores
