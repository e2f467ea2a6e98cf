"""Query strategies, by name."""

from __future__ import annotations

from collections.abc import Iterable

from training.active_learning.strategies.badge import Badge
from training.active_learning.strategies.bald import Bald
from training.active_learning.strategies.base import Picks, Strategy
from training.active_learning.strategies.core_set import CoreSet
from training.active_learning.strategies.cost_aware import CostAware
from training.active_learning.strategies.density_weighted import DensityWeighted
from training.active_learning.strategies.entropy import Entropy
from training.active_learning.strategies.expected_model_change import ExpectedModelChange
from training.active_learning.strategies.kmeans import KMeansPlusPlus
from training.active_learning.strategies.least_confidence import LeastConfidence
from training.active_learning.strategies.margin import Margin
from training.active_learning.strategies.query_by_committee import QueryByCommittee
from training.active_learning.strategies.random_rows import RandomRows
from training.active_learning.strategies.representative import Representative

__all__ = ["STRATEGIES", "Picks", "Strategy", "strategy_of"]


def _by_name(strategies: Iterable[Strategy]) -> dict[str, Strategy]:
    table: dict[str, Strategy] = {}
    for strategy in strategies:
        if strategy.name in table:
            raise ValueError(f"query strategy {strategy.name!r} is there twice")
        table[strategy.name] = strategy
    return table


STRATEGIES: dict[str, Strategy] = _by_name([
    RandomRows(), LeastConfidence(), Margin(), Entropy(), QueryByCommittee(), Bald(), ExpectedModelChange(), CoreSet(),
    KMeansPlusPlus(), DensityWeighted(), Badge(), CostAware(), Representative(),
])  # fmt: skip


def strategy_of(name: str, task: str) -> Strategy:
    """The strategy; `auto` is the default of the task."""
    if name == "auto":
        name = "expected_model_change" if task == "regression" else "margin"
    return STRATEGIES[name]
