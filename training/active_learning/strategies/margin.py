"""One minus the distance between the two likeliest classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import uncertainty_scores

from training.active_learning.diversity import alternating, drawn
from training.active_learning.rows import Floats, Indices
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View

SAMPLE_ROWS = 5_000
"""Of the candidates, for what the model explains of them."""


def explained(view: View) -> float:
    """The share of the errors of always guessing the likeliest class that the model expects to avoid.

    Goodman, Kruskal 1954, "Measures of association for cross classifications": lambda, by the model's own
    probabilities. Near 1 where classes can be told apart; near 0 where they overlap, or one is rare.
    """
    rows = np.random.default_rng(view.seed).permutation(len(view))[:SAMPLE_ROWS]
    scores = view.at(np.sort(rows)).scores
    guessing = 1.0 - scores.mean(axis=0).max()
    return float(np.clip(1.0 - (1.0 - scores.max(axis=1)).mean() / guessing, 0.0, 1.0)) if guessing > 0.0 else 0.0


class Margin(ScoreStrategy):
    """Uncertainty sampling: Settles 2009, "Active Learning Literature Survey", section 3.1.

    As large a share of the batch as the model explains has the smallest margins, and lies apart. The rest are drawn
    with chances in proportion to sqrt(1 - margin ** 2), which for two classes is twice the standard deviation of the
    label: the allocation of Neyman 1934. Where classes overlap, the smallest margins alone are worse than random rows,
    for a batch of them tells nothing of the rest of the table (Kirsch et al. 2023, "Stochastic Batch Acquisition: A
    Simple Baseline for Deep Active Learning", TMLR, arXiv:2106.12059). docs/active_learning.md has the figures.
    """

    name: ClassVar[str] = "margin"
    tasks = CLASSIFICATION

    def scores(self, view: View) -> Floats:
        """[n]."""
        scores: Floats = uncertainty_scores(view.scores, method="margin_sampling")
        return scores

    def _chosen(self, view: View, scores: Floats, order: Indices, size: int) -> Indices:
        count = round(size * explained(view))
        narrow = super()._chosen(view, scores, order, count) if count else order[:0]
        rest = order[~np.isin(order, narrow)]
        deviations = np.sqrt(np.clip(1.0 - (1.0 - scores[rest]) ** 2, 0.0, 1.0))
        wide = rest[drawn(deviations, size - len(narrow), view.seed)]
        return alternating(narrow, wide)
