"""Rows at random: what every other strategy is compared with."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from training.active_learning.diversity import without_twins
from training.active_learning.strategies.base import Picks, Strategy
from training.active_learning.view import View


class RandomRows(Strategy):
    """Every row with the same chance."""

    name: ClassVar[str] = "random"

    def _pick(self, view: View, size: int) -> Picks:
        order = np.random.default_rng(view.seed).permutation(len(view)).astype(np.int64)
        chosen = without_twins(view.duplicates, view.groups, view.max_per_group, order)[:size]
        return Picks(chosen, np.ones(len(chosen)))
