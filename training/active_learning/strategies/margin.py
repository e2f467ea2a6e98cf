"""One minus the distance between the two likeliest classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import uncertainty_scores

from training.active_learning.diversity import alternating, drawn
from training.active_learning.rows import Floats, Indices
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class Margin(ScoreStrategy):
    """Uncertainty sampling: Settles 2009, "Active Learning Literature Survey", section 3.1.

    Every other row has one of the smallest margins, and lies apart from the others. The rest are drawn with chances in
    proportion to sqrt(1 - margin ** 2), which for two classes is twice the standard deviation of the label: the
    allocation of Neyman 1934. Where classes overlap, the smallest margins alone are worse than random rows, for a batch
    of them tells nothing of the rest of the table (Kirsch et al. 2023, "Stochastic Batch Acquisition: A Simple Baseline
    for Deep Active Learning", TMLR, arXiv:2106.12059). docs/active_learning.md has the figures of both.
    """

    name: ClassVar[str] = "margin"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n]."""
        scores: Floats = uncertainty_scores(view.scores, method="margin_sampling")
        return scores

    def _chosen(self, view: View, scores: Floats, order: Indices, size: int) -> Indices:
        narrow = super()._chosen(view, scores, order, (size + 1) // 2)
        rest = order[~np.isin(order, narrow)]
        deviations = np.sqrt(np.clip(1.0 - (1.0 - scores[rest]) ** 2, 0.0, 1.0))
        wide = rest[drawn(deviations, size - len(narrow), view.seed)]
        return alternating(narrow, wide)
