"""One minus the distance between the two likeliest classes."""

from __future__ import annotations

from typing import ClassVar

from skactiveml.pool import uncertainty_scores

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class Margin(ScoreStrategy):
    """Uncertainty sampling: Settles 2009, "Active Learning Literature Survey", section 3.1."""

    name: ClassVar[str] = "margin"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n]."""
        scores: Floats = uncertainty_scores(view.scores, method="margin_sampling")
        return scores
