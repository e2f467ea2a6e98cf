"""The decision threshold of a binary model, by what wrong decisions cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.errors import Problem, SpecError, nearest
from training.evaluation.metrics import DEFAULT_THRESHOLD
from training.evaluation.statistic import FloatArray

FIELD = "evaluation.cost_matrix"


def check_cost_matrix(costs: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> FloatArray:
    """The costs as [actual, predicted], in the order of the classes; a right decision not named costs 0.

    Raises:
        SpecError: the task is not binary, a class is unknown, or the cost of a wrong decision is missing.
    """
    if len(classes) != 2:
        raise SpecError.at(
            FIELD, None, f"only a binary task has a decision threshold; this one has {len(classes)} classes"
        )
    named = [(FIELD, name) for name in costs] + [(f"{FIELD}.{row}", name) for row in costs for name in costs[row]]
    problems = [Problem(field, name, f"no such class{nearest(name, classes)}") for field, name in named
                if name not in classes]  # fmt: skip
    for actual, predicted in ((classes[0], classes[1]), (classes[1], classes[0])):
        if predicted not in costs.get(actual, {}) and not problems:
            message = f"the cost of deciding {predicted} where it is {actual} is missing"
            problems.append(Problem(f"{FIELD}.{actual}.{predicted}", None, message))
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    return np.array([[costs.get(actual, {}).get(predicted, 0.0) for predicted in classes] for actual in classes])


def choose_threshold(
    target: npt.NDArray[np.int64],
    scores_positive: FloatArray,
    cost_matrix: Mapping[str, Mapping[str, float]] | None,
    classes: Sequence[str],
    weight: FloatArray | None = None,
) -> float:
    """The threshold with the least cost on these rows; 0.5 without costs.

    Every cut between two neighbouring scores is tried; of equally cheap cuts the one nearest to 0.5 is taken, and the
    threshold lies halfway between the neighbours.

    Args:
        target: [n] class codes.
        scores_positive: [n] probability of classes[1].
        cost_matrix: cost_matrix[actual][predicted], by class name.
        classes: the two classes.
        weight: [n].

    Raises:
        SpecError: see `check_cost_matrix`.
    """
    if cost_matrix is None:
        return DEFAULT_THRESHOLD
    costs = check_cost_matrix(cost_matrix, classes)
    order = np.argsort(-scores_positive, kind="stable")
    scores = scores_positive[order]
    weights = np.ones(len(scores)) if weight is None else weight[order]
    # What it costs more to decide positive instead of negative, row by row, from the highest score down.
    extra = weights * np.where(target[order] == 1, costs[1, 1] - costs[1, 0], costs[0, 1] - costs[0, 0])
    totals = np.concatenate([[0.0], np.cumsum(extra)])
    cuts = np.concatenate([[True], scores[1:] != scores[:-1], [True]])
    bounds = np.concatenate([[max(1.0, np.nextafter(scores[0], np.inf))], scores, [0.0]])
    thresholds = 0.5 * (bounds[:-1] + bounds[1:])
    # Between neighbouring floats the middle is one of them, and must not decide the lower one.
    thresholds = np.where(thresholds > bounds[1:], thresholds, bounds[:-1])
    slack = 1e-12 * max(1.0, float(np.abs(totals).max()))
    best = np.flatnonzero(cuts & (totals <= totals[cuts].min() + slack))
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - DEFAULT_THRESHOLD))]])
