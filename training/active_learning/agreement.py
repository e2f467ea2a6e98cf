"""One label for a row from what several labellers said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

Label = str | float
MAX_ITERATIONS = 100
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Vote:
    """What one labeller said of one row."""

    row: str
    labeller: str
    label: Label


def majority(votes: Sequence[Vote]) -> dict[str, Label | None]:
    """The label that most labellers gave, the median of numbers; None where two labels have as many votes."""
    by_row: dict[str, list[Label]] = {}
    for vote in votes:
        by_row.setdefault(vote.row, []).append(vote.label)
    return {row: _most_common(labels) for row, labels in by_row.items()}


def _most_common(labels: Sequence[Label]) -> Label | None:
    numbers = [label for label in labels if isinstance(label, float)]
    if len(numbers) == len(labels):
        return median(numbers)
    ranked = Counter(labels).most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def dawid_skene(votes: Sequence[Vote], classes: Sequence[str]) -> dict[str, Label | None]:
    """The likeliest label of each row when labellers err each in a way of their own.

    Expectation-maximisation of Dawid and Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates Using the
    EM Algorithm" (Applied Statistics 28), started from the shares of the votes; counts are smoothed by 0.01, so that
    one mistake does not make another impossible. None where two labels are equally likely.
    """
    if not votes:
        return {}
    rows = list(dict.fromkeys(vote.row for vote in votes))
    labellers = list(dict.fromkeys(vote.labeller for vote in votes))
    counts = np.zeros((len(rows), len(labellers), len(classes)))
    place = _places(rows), _places(labellers), _places(classes)
    for vote in votes:
        counts[place[0][vote.row], place[1][vote.labeller], place[2][str(vote.label)]] += 1
    belief = counts.sum(axis=1) / counts.sum(axis=(1, 2))[:, None]
    for _ in range(MAX_ITERATIONS):
        prior = belief.mean(axis=0) + 1e-12
        errors = np.einsum("rt,rls->lts", belief, counts) + 0.01
        errors /= errors.sum(axis=2, keepdims=True)
        log_belief = np.log(prior) + np.einsum("rls,lts->rt", counts, np.log(errors))
        log_belief -= log_belief.max(axis=1, keepdims=True)
        after = np.exp(log_belief) / np.exp(log_belief).sum(axis=1, keepdims=True)
        moved, belief = float(np.abs(after - belief).max()), after
        if moved < TOLERANCE:
            break
    return {row: _likeliest(belief[number], classes) for number, row in enumerate(rows)}


def _likeliest(belief: np.ndarray[tuple[int], np.dtype[np.float64]], classes: Sequence[str]) -> Label | None:
    order = np.argsort(-belief, kind="stable")
    return None if belief[order[0]] - belief[order[1]] < 1e-9 else classes[int(order[0])]


def _places(names: Sequence[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names)}
