"""Uncertainty for what a label costs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import uncertainty_scores

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class CostAware(ScoreStrategy):
    """Margin divided by the cost of the row: return on investment, Haertel et al. 2008, "Return on Investment for
    Active Learning" (NIPS workshop on cost-sensitive learning)."""

    name: ClassVar[str] = "cost_aware"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n], per unit of cost."""
        margins: Floats = uncertainty_scores(view.scores, method="margin_sampling")
        return margins / (np.ones(len(view)) if view.costs is None else view.costs)
