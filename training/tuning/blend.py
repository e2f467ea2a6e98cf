"""The best trials of a search over a stack's members as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.table import Rows
from training.models.base import Structure
from training.models.members import Combining, scored_in_turn, taking_turns
from training.mts_scoring.combination import Combination

CANDIDATES = 25
"""Trials, the best ones, among which a blend chooses: more would let chance choose on few validation rows."""

Scores = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blend:
    """Places of the chosen candidates, how they are combined, the share of every candidate, and the blend's scores of
    the held-out rows, each by a combination that was learnt without it."""

    chosen: list[int]
    combination: Combination
    shares: list[float]
    scores: Scores


def blend(scores: Sequence[Scores], rows: Rows, structure: Structure, parts: Sequence[Positions], seed: int) -> Blend:
    """Chooses among candidates by greedy selection with bags, see training.models.combining.

    Args:
        scores: of each candidate for the rows, [n, classes] or [n], by models that did not learn from them.
        rows: their target and weights.
        structure: of the rows.
        parts: positions of the rows of each fold; one is divided in two, as the structure allows.
        seed: of the bags.
    """
    combining = Combining("greedy", seed)
    found = combining.learn(scores, rows)
    chosen = [place for place, weight in enumerate(found.weights) if weight > 0.0]
    pairs = taking_turns(structure, parts, len(rows), seed)
    return Blend(chosen, found.only(chosen), list(found.weights), scored_in_turn(pairs, rows, scores, combining))
