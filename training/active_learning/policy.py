"""What a pool needs next: rows to choose, or a training. Decides; whoever asks acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.active_learning.spec import Counts, PoolSpec

AHEAD = 2
"""Batches that are chosen at once, so that labellers have work while a model is trained."""
LATEST = 10
"""Times `retrain_every`: after so many labels a training is due whatever is expected of it."""
TOLERANCE = 1e-9
"""Of sums of costs, which may be off in their last digits."""
MIN_TEST = 10
"""Labelled test rows below which nothing is trained: the figures would mean nothing."""


@dataclass(frozen=True)
class Situation:
    """Where a pool is. Counts are of rows; `queued` and `held` without the test set."""

    queried: bool
    busy: bool
    has_model: bool
    refresh: bool
    left: int
    test_waiting: int
    test_labelled: int
    train_labelled: int
    trained_labels: int
    queued: int
    queued_random: int
    spent: float
    cheapest: float | None = None
    """Least cost of a row that waits; None where none does."""
    held: int = 0
    """Rows that others have, while somebody has none to label; then they are not among the `queued`."""
    expected_gain: float | None = None
    """Of the primary metric, by the labels since the last training; None while no learning curve tells."""
    by_class: Mapping[str, int] = field(default_factory=dict)
    test_by_class: Mapping[str, int] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether no row is left that could still get a label."""
        return self.left == 0 and self.queued == 0 and self.held == 0


@dataclass(frozen=True)
class Query:
    """Choose rows. `replace`: those that wait make place. `measure`: both arms are measured."""

    take: Counts
    replace: bool = False
    measure: bool = False


@dataclass(frozen=True)
class Train:
    """Train on all labels."""


Step = Query | Train


def is_spent(budget: float | None, spent: float, cheapest: float | None) -> bool:
    """Whether what is left of the budget pays for no row that waits."""
    if budget is None:
        return False
    return not is_affordable(cheapest or 0.0, budget - spent) or spent >= budget


def is_affordable(cost: float, left: float) -> bool:
    """Whether so much is left of a budget."""
    return cost <= left + TOLERANCE


def next_step(plan: PoolSpec, at: Situation) -> Step | None:
    """What to do now; None while something is under way, or until labels come in."""
    if at.busy:
        return None
    if not at.queried:
        return Query(_take(plan, plan.initial_size, at, test=plan.test_size))
    if is_due(plan, at) and obstacle(plan, at) is None:
        return Train()
    spent = is_spent(plan.budget, at.spent, at.cheapest)
    if at.refresh:
        return Query(_take(plan, 0 if spent else AHEAD * plan.batch_size, at), replace=True, measure=True)
    if at.queued < plan.batch_size and at.left > 0 and not spent:
        wanted = AHEAD * plan.batch_size - at.queued
        return Query(_take(plan, wanted, at))
    return None


def is_due(plan: PoolSpec, at: Situation) -> bool:
    """Whether enough labels have come in since the last training."""
    no_more = at.exhausted or is_spent(plan.budget, at.spent, at.cheapest)
    if not at.has_model and at.trained_labels == 0:
        return at.train_labelled >= plan.initial_size or (no_more and at.train_labelled > 0)
    new = at.train_labelled - at.trained_labels
    if new <= 0:
        return False
    if no_more:
        return True
    if plan.retrain_gain is None or at.expected_gain is None:
        return new >= plan.every
    return at.expected_gain >= plan.retrain_gain or new >= LATEST * plan.every


def obstacle(plan: PoolSpec, at: Situation) -> str | None:
    """Why nothing can be trained although labels are there; for people."""
    if at.test_waiting:
        return f"{at.test_waiting} rows of the test set wait for a label; they come first"
    if at.test_labelled < MIN_TEST:
        return (
            f"{at.test_labelled} rows of the test set have a label, and at least {MIN_TEST} are needed; make a new pool"
        )
    for place, counts in (("", at.by_class), (" of the test set", at.test_by_class)):
        if plan.data.task != "regression" and len(counts) == 1:
            only = next(iter(counts))
            return (
                f"all {counts[only]} labels{place} are {only!r}: there is nothing to tell apart yet;"
                " querying goes on with representative rows"
            )
    return None


def _take(plan: PoolSpec, size: int, at: Situation, *, test: int = 0) -> Counts:
    random = max(0, round(size * plan.control_share) - at.queued_random)
    return Counts(test=test, active=size - round(size * plan.control_share), random=random)
