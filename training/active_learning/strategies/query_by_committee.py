"""How much the members of an ensemble disagree."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from skactiveml.pool import vote_entropy

from training.active_learning.rows import Floats
from training.active_learning.strategies.base import ScoreStrategy
from training.active_learning.view import View


class QueryByCommittee(ScoreStrategy):
    """Entropy of the members' votes (Dagan and Engelson 1995), or variance of their values (Burbidge et al. 2007)."""

    name: ClassVar[str] = "query_by_committee"
    needs_members = True

    def scores(self, view: View) -> Floats:
        """[n]."""
        members = view.members
        if members.ndim == 2:
            variance: Floats = members.var(axis=0)
            return variance
        scores: Floats = vote_entropy(members.argmax(axis=2).T, np.arange(members.shape[2]))
        return scores
