"""What a label would tell about the ensemble."""

from __future__ import annotations

from typing import ClassVar

from skactiveml.pool import batch_bald

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import CLASSIFICATION, ScoreStrategy
from training.active_learning.view import View


class Bald(ScoreStrategy):
    """Mutual information of the label and the member: Houlsby et al. 2011, arXiv:1112.5745."""

    name: ClassVar[str] = "bald"
    tasks = CLASSIFICATION
    needs_members = True

    def scores(self, view: View) -> Floats:
        """[n], in nats."""
        # for a batch of one it is BALD itself
        scores: Floats = batch_bald(view.members, batch_size=1, random_state=view.seed)[0]
        return scores
