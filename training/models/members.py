"""Models that are each fitted once per fold, so that every row has a score by models that did not learn from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.data.fold_strategies import Pair
from training.data.table import Rows
from training.errors import FitError, TrainingError
from training.models.base import HeldOut, Member, Scores, Structure
from training.models.combining import Combiner, GreedyOptions, combine
from training.models.parallel import FitOutcome
from training.models.pool import Fold, Pool, Positions, crossed, earlier, taken
from training.mts_scoring.combination import Combination
from training.mts_scoring.predictor import Predictor
from training.mts_scoring.stack_predictor import StackPredictor

logger = logging.getLogger("training")

FOLDS_BY_ROWS = ((5_000, 8), (60_000, 5), (150_000, 4))
"""Below so many rows, so many folds; of very many rows 3 are enough, and each costs much."""
MOST_ROWS_FOLDS = 3
TIME_OVER = "the time was over before all folds were fitted"


def default_folds(rows: int) -> int:
    """How many folds are worth their time."""
    return next((count for below, count in FOLDS_BY_ROWS if rows < below), MOST_ROWS_FOLDS)


@dataclass
class FoldedModel:
    """One member while and after its folds are fitted."""

    name: str
    folds: Sequence[Fold]
    outcomes: dict[int, FitOutcome] = field(default_factory=dict)

    @property
    def error(self) -> Exception | None:
        """Why the member is missing: what its first fold that failed says."""
        return next((outcome.error for _, outcome in sorted(self.outcomes.items()) if outcome.error), None)

    @property
    def is_complete(self) -> bool:
        """Whether every fold was fitted."""
        return len(self.outcomes) == len(self.folds) and self.error is None

    @property
    def fit_s(self) -> float:
        """Seconds over all folds."""
        return sum(outcome.fit_s for outcome in self.outcomes.values())

    def row_s(self) -> float:
        """Seconds that a row takes with all models that serve, as measured on the held rows."""
        return sum(
            outcome.score_s / max(1, len(self.folds[place].held))
            for place, outcome in self.outcomes.items()
            if self.folds[place].serves
        )

    def scores(self, rows: int, held: Positions) -> Scores:
        """Out-of-fold scores of the held rows, [held, classes] or [held]; only of a complete member."""
        scored = [
            (fold.held, outcome.scores)
            for fold, outcome in ((self.folds[place], outcome) for place, outcome in self.outcomes.items())
            if outcome.scores is not None
        ]
        everyone = np.full((rows, *scored[0][1].shape[1:]), np.nan)
        for positions, scores in scored:
            everyone[positions] = scores
        return everyone[held]

    def predictors(self) -> list[Predictor]:
        """The models of the folds that serve, in the order of the folds."""
        return [
            outcome.fitted.predictor
            for place, outcome in sorted(self.outcomes.items())
            if outcome.fitted is not None and self.folds[place].serves
        ]

    def notes(self) -> list[str]:
        """What there is to say of its models, each sentence once."""
        fitted = [outcome.fitted for _, outcome in sorted(self.outcomes.items()) if outcome.fitted]
        return [f"{self.name}: {note}" for note in dict.fromkeys(note for one in fitted for note in one.notes)]

    def params(self) -> Mapping[str, Any]:
        """Parameters of the first fold's model."""
        first = next((outcome.fitted for _, outcome in sorted(self.outcomes.items()) if outcome.fitted), None)
        return first.params if first else {}


@dataclass(frozen=True)
class Combining:
    """How members are combined."""

    combiner: Combiner = "greedy"
    seed: int = 0
    options: GreedyOptions = field(default_factory=GreedyOptions)

    def learn(self, scores: Sequence[Scores], rows: Rows) -> Combination:
        """The combination that is best on the rows."""
        return combine(self.combiner, scores, rows, self.seed, self.options)


@dataclass(frozen=True)
class Stacked:
    """Members combined: the predictor, and what it and each of them scored out of fold."""

    predictor: StackPredictor
    combination: Combination
    held_out: HeldOut


def held_positions(folds: Sequence[Fold]) -> Positions:
    """Rows that some fold holds out, ascending."""
    return np.sort(np.concatenate([fold.held for fold in folds]))


def stack(pool: Pool, members: Sequence[FoldedModel], combining: Combining) -> Stacked:
    """Combines the complete members; the others appear with their error.

    The stack's own scores are out of fold too: those of a fold come from a combination that was learnt without it,
    over time from earlier folds only.

    Raises:
        TrainingError: no member is complete; the first one's error.
    """
    complete = [member for member in members if member.is_complete]
    if not complete:
        raise _no_member(members)
    folds = complete[0].folds
    held = held_positions(folds)
    rows = taken(pool.rows, held)
    scores = {member.name: member.scores(len(pool), held) for member in complete}
    listed = list(scores.values())
    combination = combining.learn(listed, rows)
    structure = pool.structure.of(held)
    parts = [np.searchsorted(held, fold.held) for fold in folds]
    own = scored_in_turn(taking_turns(structure, parts, len(held), combining.seed), rows, listed, combining)
    weights = np.abs(np.asarray(combination.weights))
    shares = dict(zip(scores, (weights / max(weights.sum(), 1e-300)).tolist(), strict=True))
    kept = [place for place, weight in enumerate(combination.weights) if weight != 0.0] or [0]
    predictor = StackPredictor([complete[place].predictors() for place in kept], combination.only(kept))
    rows_of_members = tuple(
        Member(member.name, scores.get(member.name), member.fit_s, shares.get(member.name), _why(member))
        for member in members
    )
    return Stacked(predictor, combination, HeldOut(rows.target, rows.weight, own, rows_of_members, structure))


def taking_turns(structure: Structure, parts: Sequence[Positions], rows: int, seed: int) -> list[Pair]:
    """Positions among the held-out rows that teach a combination, and those that are scored by it.

    Args:
        structure: of the held-out rows.
        parts: positions of those of each fold; one fold is divided by `crossed`.
        rows: how many there are.
        seed: of the division.
    """
    if len(parts) == 1:
        return crossed(structure, rows, 2, seed)
    if structure.times is not None:
        return [(earlier(structure, part), part) for part in parts]
    return [(np.setdiff1d(np.arange(rows), part), part) for part in parts]


def scored_in_turn(pairs: Sequence[Pair], rows: Rows, scores: Sequence[Scores], combining: Combining) -> Scores:
    """The stack's scores of each row by a combination that others taught; where there are none, the plain mean."""
    own = Combination("mean", (1.0 / len(scores),) * len(scores)).apply(scores)
    for rest, part in pairs:
        if len(rest):
            learnt = combining.learn([score[rest] for score in scores], taken(rows, rest))
            own[part] = learnt.apply([score[part] for score in scores])
    return own


def _why(member: FoldedModel) -> str:
    if member.is_complete:
        return ""
    return TIME_OVER if member.error is None else reason_of(member.error)


def reason_of(error: Exception) -> str:
    """Why a member is missing, with the remedy where one is known."""
    hint = error.hint if isinstance(error, TrainingError) else ""
    return "; ".join(filter(None, (str(error) or type(error).__name__, hint)))


def _no_member(members: Sequence[FoldedModel]) -> Exception:
    first = next((member.error for member in members if member.error), None)
    if isinstance(first, TrainingError):
        return first
    reasons = "; ".join(f"{member.name}: {_why(member)}" for member in members)
    return FitError(f"no member could be fitted: {reasons}")
