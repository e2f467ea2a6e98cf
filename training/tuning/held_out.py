"""The rows that trials are measured on: the validation rows, or folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.evaluation import evaluate
from training.models import FitData
from training.models.pool import Pool, folds_of, structure_in, taken
from training.tuning.objective import COSTS
from training.tuning.work import held_out_of

NOISE_RESAMPLES, NOISE_CONFIDENCE, NOISE_WIDTH = 200, 0.6827, 2.0
"""The middle 68 % of a normal distribution are two standard deviations wide."""


def fold_data(data: FitData, folds: int, seed: int) -> tuple[FitData, ...]:
    """For each fold the rows to learn from, and those that it holds out, as the split of the job allows: groups stay
    whole, and nothing is measured on rows that are older than those that it learnt from.

    Raises:
        DataError: too few rows or groups for two folds.
    """
    pool = Pool.of(data)
    found = []
    for fold in folds_of(pool, folds, seed):
        structure = structure_in(pool, fold.learnt, fold.held)
        found.append(FitData(data.schema, taken(pool.rows, fold.learnt), taken(pool.rows, fold.held), structure))
    return tuple(found)


def objective_noise(parts: Sequence[FitData], scores: npt.NDArray[np.float64], objective: str, seed: int) -> float:
    """Standard error of an objective on the held-out rows, by bootstrap; 0.0 of a cost."""
    if objective in COSTS:
        return 0.0
    held = [held_out_of(part) for part in parts]
    weights = [rows.weight for rows in held if rows.weight is not None]
    found = evaluate(
        parts[0].schema.task,
        np.concatenate([rows.target for rows in held]),
        scores,
        np.concatenate(weights) if weights else None,
        metrics=[objective],
        bootstrap_samples=NOISE_RESAMPLES,
        confidence=NOISE_CONFIDENCE,
        seed=seed,
    )[objective]
    return 0.0 if found.low is None or found.high is None else (found.high - found.low) / NOISE_WIDTH
