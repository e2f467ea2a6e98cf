"""What a query strategy is: it says which candidates to label next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from training.active_learning.committee import check_has_members
from training.active_learning.diversity import SHORTLIST, spread, without_twins
from training.active_learning.rows import Floats, Indices
from training.active_learning.view import CHUNK_ROWS, View
from training.distributed.in_parallel import in_parallel
from training.errors import SpecError
from training.mts_scoring.model import ScoringModel
from training.spec import ModelSpec

CLASSIFICATION = ("binary", "multiclass")
EVERY_TASK = (*CLASSIFICATION, "regression")
MIN_SHORTLIST = 100
"""A batch of one is chosen among several as well."""


@dataclass(frozen=True)
class Picks:
    """Chosen candidates: `rows` [k] positions in the view, in the order to label them in, and their `scores` [k]."""

    rows: Indices
    scores: Floats


class Strategy(ABC):
    """One way to choose.

    Stateless: an instance may be used by many threads at once. The same view and size give the same picks. Picks are
    distinct; no two of them are equal rows as long as there are others; at most `view.max_per_group` are of one group.
    Fewer than `size` come back only where the view does not have more.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = EVERY_TASK
    needs_model: ClassVar[bool] = False
    needs_members: ClassVar[bool] = False
    max_candidates: ClassVar[int | None] = None
    """A random sample of so many is looked at where there are more: distances between all would not end."""

    def check(self, task: str, model: ModelSpec) -> None:
        """Whether the strategy fits.

        Raises:
            SpecError: it does not, and why.
        """
        if task not in self.tasks:
            raise SpecError.at(
                "strategy", self.name, f"is not for {task}",
                hint="Use margin or entropy for classes, expected_model_change or core_set for regression.",
            )  # fmt: skip
        if self.needs_members:
            check_has_members(model, self.name)

    def pick(self, view: View, size: int) -> Picks:
        """The rows to label next."""
        rows = np.arange(len(view), dtype=np.int64)
        if self.max_candidates is not None and len(rows) > self.max_candidates:
            rows = np.sort(np.random.default_rng(view.seed).permutation(len(rows))[: self.max_candidates])
        found = self._pick(view.at(rows) if len(rows) < len(view) else view, size)
        return Picks(rows[found.rows], found.scores)

    @abstractmethod
    def _pick(self, view: View, size: int) -> Picks:
        """As `pick`, among at most `max_candidates`."""


class ScoreStrategy(Strategy):
    """Gives each row a score by itself; those with high scores that lie apart are chosen."""

    needs_model = True

    @abstractmethod
    def scores(self, view: View) -> Floats:
        """[n], higher is more worth a label."""

    def _pick(self, view: View, size: int) -> Picks:
        scores = self._scores_of_all(view)
        order = np.argsort(-scores, kind="stable").astype(np.int64)
        order = without_twins(view.duplicates, view.groups, view.max_per_group, order)
        chosen = self._chosen(view, scores, order, size) if len(order) else order
        return Picks(chosen, scores[chosen])

    def _chosen(self, view: View, scores: Floats, order: Indices, size: int) -> Indices:
        """`size` rows of `order`, which has the highest scores first, no twins, and at least one row."""
        shortlist = order[: max(MIN_SHORTLIST, SHORTLIST * size)]
        return shortlist[spread(view.at(shortlist).embedding, scores[shortlist], size)]

    def _scores_of_all(self, view: View) -> Floats:
        """A large pool is scored on all CPUs of the cluster, a few chunks in memory at a time."""
        if len(view) <= CHUNK_ROWS:
            return self.scores(view) if len(view) else np.empty(0)
        parts = (chunk.alone() for chunk in view.chunks())
        return np.concatenate(list(in_parallel(_scored, (self, view.model), parts, name=f"query:{self.name}")))


def _scored(shared: tuple[ScoreStrategy, ScoringModel | None], part: View) -> Floats:
    """The scores of a chunk; runs on a worker."""
    strategy, model = shared
    return strategy.scores(replace(part, model=model))


class BatchStrategy(Strategy):
    """Chooses a batch as a whole, by where the rows lie."""

    max_candidates = 5_000

    @abstractmethod
    def batch(self, view: View, size: int) -> Picks:
        """As `pick`, from candidates among which no two are equal."""

    def _pick(self, view: View, size: int) -> Picks:
        order = np.random.default_rng(view.seed).permutation(len(view)).astype(np.int64)
        kept = np.sort(without_twins(view.duplicates, view.groups, view.max_per_group, order))
        if len(kept) <= size:
            return Picks(kept, np.ones(len(kept)))
        found = self.batch(view.at(kept), size)
        return Picks(kept[found.rows], found.scores)
