"""How much each model counts, learnt from scores of rows that the models did not learn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from training.data.table import Rows
from training.models.base import Scores
from training.models.losses import losses_of
from training.mts_scoring.combination import SMALLEST, Combination, log_of, softmax

Combiner = Literal["greedy", "linear"]
Floats = npt.NDArray[np.float64]

MAX_ROWS = 20_000
"""More rows do not change the choice between models, but cost time for each step."""
PRIOR_ROWS = 10.0
"""The linear combiner is pulled towards equal weights as if by so many rows."""
MIN_GAIN = 1e-7
"""Relative: less is rounding error."""


@dataclass(frozen=True)
class GreedyOptions:
    """Of the greedy selection: how many bags, how many models a bag may take, which share of the models a bag sees."""

    bags: int = 12
    rounds: int = 25
    share: float = 0.6
    deadline: float | None = None
    """time.monotonic() after which no further bag is begun."""


def combine(
    combiner: Combiner, scores: Sequence[Scores], rows: Rows, seed: int, options: GreedyOptions | None = None
) -> Combination:
    """The combination with the least loss (log loss, squared error for regression) on the rows.

    Args:
        combiner: greedy or linear.
        scores: of each model for the rows, [n, classes] or [n].
        rows: their target and weights.
        seed: of the bags.
        options: of the greedy selection.
    """
    places = _some(len(rows), seed)
    chosen = [score[places] for score in scores]
    target = rows.target[places]
    weight = np.ones(len(places)) if rows.weight is None else rows.weight[places]
    if len(scores) == 1:
        return Combination("mean", (1.0,))
    if combiner == "greedy":
        return Combination("mean", _greedy(chosen, target, weight, seed, options or GreedyOptions()))
    if chosen[0].ndim == 1:
        return _linear_values(chosen, target, weight)
    return _linear_classes(chosen, target.astype(np.int64), weight)


def _some(count: int, seed: int) -> npt.NDArray[np.int64]:
    if count <= MAX_ROWS:
        return np.arange(count)
    return np.sort(np.argsort(np.random.default_rng(seed).random(count), kind="stable")[:MAX_ROWS])


def _greedy(
    scores: Sequence[Scores], target: npt.NDArray[np.generic], weight: Floats, seed: int, options: GreedyOptions
) -> tuple[float, ...]:
    """Ensemble selection from libraries of models with bagging (Caruana et al. 2004, doi:10.1145/1015330.1015432,
    sections 2.1 to 2.3; 2006, doi:10.1109/ICDM.2006.76): models are added, each as often as it helps, and the counts
    of several runs over random subsets of the models are averaged."""
    number = len(scores)
    is_regression = scores[0].ndim == 1
    told = np.stack([score if is_regression else score[np.arange(len(target)), target.astype(int)] for score in scores])
    generator = np.random.default_rng(seed)
    size = max(min(number, 3), round(options.share * number))
    bags = 1 if size == number else options.bags
    counts = np.zeros(number)
    for bag in range(bags):
        if bag and options.deadline is not None and time.monotonic() >= options.deadline:
            break
        seen = np.sort(generator.permutation(number)[:size])
        found = _added(told[seen], target if is_regression else None, weight, options.rounds)
        counts[seen] += found / found.sum()
    return tuple((counts / counts.sum()).tolist())


def _added(told: Floats, target: npt.NDArray[np.generic] | None, weight: Floats, rounds: int) -> Floats:
    """How often each model is added. `told`: [models, n] values, or probabilities of the true class without `target`"""
    counts = np.zeros(len(told))
    total = np.zeros(told.shape[1])
    best: float | None = None
    for done in range(rounds):
        means = (total + told) / (done + 1)
        losses = (
            -np.log(np.clip(means, SMALLEST, None)) if target is None else np.square(means - target.astype(np.float64))
        )
        averages = np.einsum("mn,n->m", losses, weight) / weight.sum()
        choice = int(np.argmin(averages))
        if best is not None and not averages[choice] < best - MIN_GAIN * abs(best):
            break
        best = float(averages[choice])
        counts[choice] += 1
        total = total + told[choice]
    return counts


def _linear_values(scores: Sequence[Scores], target: npt.NDArray[np.generic], weight: Floats) -> Combination:
    """Ridge regression on the members' values, centred, pulled towards equal weights."""
    matrix = np.stack(scores, axis=1)
    values = target.astype(np.float64)
    share = weight / weight.sum()
    means, mean = np.einsum("n,nm->m", share, matrix), float(np.einsum("n,n->", share, values))
    centred, rest = matrix - means, values - mean
    equal = np.full(matrix.shape[1], 1.0 / matrix.shape[1])
    gram = np.einsum("n,nm,nk->mk", share, centred, centred)
    strength = PRIOR_ROWS / len(values) * max(float(np.einsum("n,n,n->", share, rest, rest)), 1e-12)
    moment = np.einsum("n,nm,n->m", share, centred, rest)
    weights = np.linalg.solve(gram + strength * np.eye(len(gram)), moment + strength * equal)
    return Combination("mean", tuple(weights.tolist()), (mean - float(means @ weights),))


def _linear_classes(scores: Sequence[Scores], codes: npt.NDArray[np.int64], weight: Floats) -> Combination:
    """A logarithmic pool with a bias for each class, weights at least 0, by maximum likelihood with a penalty."""
    logs = np.stack([log_of(score) for score in scores])
    number, rows, classes = logs.shape
    share = weight / weight.sum()
    chosen = np.eye(classes)[codes]
    equal, strength = 1.0 / number, PRIOR_ROWS / rows

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:number], parameters[number:]
        probabilities = softmax(np.einsum("m,mnc->nc", weights, logs) + bias)
        told = probabilities[np.arange(rows), codes]
        loss = -float(share @ np.log(np.clip(told, 1e-300, None)))
        error = (probabilities - chosen) * share[:, None]
        slope = np.concatenate([np.einsum("mnc,nc->m", logs, error), error.sum(axis=0)])
        slope[:number] += 2.0 * strength * (weights - equal)
        slope[number:] += 2.0 * strength * bias
        penalty = strength * (float(np.square(weights - equal).sum()) + float(np.square(bias).sum()))
        return loss + penalty, slope

    start = np.concatenate([np.full(number, equal), np.zeros(classes)])
    bounds = [(0.0, None)] * number + [(None, None)] * classes
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Combination("log", tuple(found[:number].tolist()), tuple(found[number:].tolist()))


def mean_loss(scores: Scores, rows: Rows) -> float:
    """Log loss, or mean squared error for regression, over the weights of the rows."""
    return float(np.average(losses_of(scores, rows.target), weights=rows.weight))
