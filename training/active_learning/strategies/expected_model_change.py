"""How much a label would move a regression."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import ExpectedModelChangeMaximization
from skactiveml.regressor import SklearnRegressor
from sklearn.ensemble import ExtraTreesRegressor

from training.active_learning.diversity import SHORTLIST, spread
from training.active_learning.strategies.base import MIN_SHORTLIST, BatchStrategy, Picks
from training.active_learning.view import View

BOOTSTRAPS = 8
TREES = 30


class ExpectedModelChange(BatchStrategy):
    """Expected length of the gradient: Cai, Zhang and Zhou 2013, "Maximizing Expected Model Change for Active Learning
    in Regression" (ICDM). Bootstraps of a small forest over the encoded columns stand in for the model, whatever it is.
    """

    name: ClassVar[str] = "expected_model_change"
    tasks = ("regression",)
    needs_model = True

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        known = view.labelled_embedding
        strategy = ExpectedModelChangeMaximization(bootstrap_size=BOOTSTRAPS, random_state=view.seed)
        surrogate = SklearnRegressor(ExtraTreesRegressor(TREES, random_state=view.seed, min_samples_leaf=2))
        _, utilities = strategy.query(known, view.targets, surrogate, candidates=view.embedding, return_utilities=True)
        scores = np.nan_to_num(np.asarray(utilities[0], dtype=np.float64))
        shortlist = np.argsort(-scores, kind="stable")[: max(MIN_SHORTLIST, SHORTLIST * size)]
        chosen = shortlist[spread(view.embedding[shortlist], scores[shortlist], size)]
        return Picks(chosen, scores[chosen])
