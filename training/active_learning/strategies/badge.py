"""Batches that are uncertain and diverse at once."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from skactiveml.base import SkactivemlClassifier
from skactiveml.pool import Badge as GradientEmbeddings

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, BatchStrategy, Picks
from training.active_learning.view import View


class Badge(BatchStrategy):
    """k-means++ over gradient embeddings: Ash et al. 2020, "Deep Batch Active Learning by Diverse, Uncertain Gradient
    Lower Bounds" (ICLR), arXiv:1906.03671. The encoded columns stand in for the last hidden layer, so that it works
    for trees too."""

    name: ClassVar[str] = "badge"
    tasks = CLASSIFICATION
    needs_model = True

    def batch(self, view: View, size: int) -> Picks:
        """See BatchStrategy."""
        numbers = np.arange(len(view), dtype=np.float64)[:, None]
        strategy = GradientEmbeddings(random_state=view.seed, clf_embedding_flag_name="return_embeddings")
        rows, utilities = strategy.query(
            numbers[:1], np.array([np.nan]), _Known(view.scores, view.embedding), fit_clf=False, candidates=numbers,
            batch_size=size, return_utilities=True,
        )  # fmt: skip
        scores = np.array([utilities[place][row] for place, row in enumerate(rows)])
        return Picks(np.asarray(rows, dtype=np.int64), np.nan_to_num(scores))


class _Known(SkactivemlClassifier):  # type: ignore[misc]  # the library has no types
    """Answers what is known already; a row is given by its number."""

    def __init__(self, probabilities: Floats, embedding: Floats) -> None:
        super().__init__()
        self.probabilities = probabilities
        self.embedding = embedding

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> _Known:
        """Has nothing to learn."""
        return self

    def predict_proba(self, X: Any, *, return_embeddings: bool = False) -> Any:
        """Probabilities, and where the rows lie."""
        rows = np.asarray(X)[:, 0].astype(np.int64)
        return (self.probabilities[rows], self.embedding[rows]) if return_embeddings else self.probabilities[rows]
