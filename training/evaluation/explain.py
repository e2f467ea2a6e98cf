"""Explains scores: TreeSHAP for tree ensembles, sampled Shapley values for every other model."""

from __future__ import annotations

import pandas as pd

from training.evaluation.contributions import Contributions
from training.evaluation.explain_sampled import explain_sampled
from training.evaluation.explain_trees import explain_trees
from training.mts_scoring.model import ScoringModel

TREE_ROWS = 2_000
"""Rows explained by TreeSHAP: more change neither the ranking of the columns nor the plots."""


def explain(model: ScoringModel, frame: pd.DataFrame, *, seed: int = 0) -> Contributions:
    """Contributions of a sample of the rows, which are also the background of the sampled explainer.

    Args:
        model: the model.
        frame: [n, features] raw rows, at least one; the first ones are taken, so shuffle an ordered table before.
        seed: of the sampled explainer.
    """
    by_trees = explain_trees(model.predictor, frame.iloc[:TREE_ROWS])
    return by_trees if by_trees is not None else explain_sampled(model, frame, frame.iloc[:TREE_ROWS], seed=seed)
