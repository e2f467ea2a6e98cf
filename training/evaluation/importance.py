"""Permutation importance (Breiman 2001): how much worse the model is when a column is shuffled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from training.evaluation.metrics import Target, greater_is_better, point_metrics
from training.evaluation.statistic import FloatArray
from training.mts_scoring.model import ScoringModel

MAX_ROWS = 2_000
MIN_ROWS, LEAST_ROWS = 500, 60
FAST_US, SLOW_US = 1e6, 4e6
"""All shuffles together take about FAST_US, if that is MIN_ROWS and more; of a slow model fewer, so that they take no
longer than SLOW_US; never less than LEAST_ROWS."""
REPEATS = 3
MAX_COLUMNS = 60
ROWS_PER_CALL = 60_000
"""Columns are shuffled and scored together up to so many rows: a call has a fixed cost, which for forests is large."""


def permutation_importance(
    model: ScoringModel,
    frame: pd.DataFrame,
    target: Target,
    metric: str,
    weight: FloatArray | None = None,
    *,
    columns: Iterable[str],
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the loss in the metric over a few shuffles; positive means that it was needed.

    Shuffling a column breaks its relation to all others: of columns that say the same none looks important.

    Args:
        model: the model.
        frame: [n, features] raw rows; the first `rows_shuffled` are taken.
        target, weight: as in `evaluate`.
        metric: of the task.
        columns: which, at most MAX_COLUMNS.
        seed: of the shuffles.
    """
    wanted = list(columns)[:MAX_COLUMNS]
    rows = rows_shuffled(model, len(frame), len(wanted))
    sample = frame.iloc[:rows].reset_index(drop=True)
    weights = None if weight is None else weight[:rows]

    def measured(scores: FloatArray) -> float | None:
        found = point_metrics(model.task, target[:rows], scores, weights, (metric,), threshold=model.threshold)
        return found.get(metric)

    before = measured(model.scores(sample))
    if before is None:
        return {}
    generator = np.random.default_rng(seed)
    sign = 1.0 if greater_is_better(metric) else -1.0
    together = max(1, ROWS_PER_CALL // (rows * REPEATS))
    importances = {}
    for start in range(0, len(wanted), together):
        names = wanted[start : start + together]
        scores = model.scores(_shuffled(sample, names, generator))
        for name, block in zip(names, np.split(scores, len(names)), strict=True):
            after = [measured(part) for part in np.split(block, REPEATS)]
            drops = [0.0 if value is None else sign * (before - value) for value in after]
            importances[name] = (float(np.mean(drops)), float(np.std(drops)))
    return importances


def rows_shuffled(model: ScoringModel, available: int, columns: int) -> int:
    """How many rows the shuffles are of: the fewer the longer a model takes for a row."""
    row_us = REPEATS * max(1, min(columns, MAX_COLUMNS)) * model.predictor.row_us()
    fast, slow = int(FAST_US // row_us), int(SLOW_US // row_us)
    return min(available, MAX_ROWS, max(fast, min(MIN_ROWS, slow), LEAST_ROWS))


def _shuffled(sample: pd.DataFrame, names: list[str], generator: np.random.Generator) -> pd.DataFrame:
    """The sample REPEATS times for each name, in which that column is shuffled each time."""
    rows = len(sample)
    every = np.tile(np.arange(rows), REPEATS * len(names))
    columns = {}
    for name in sample.columns:
        taken = every
        if name in names:
            at = names.index(name) * REPEATS * rows
            taken = every.copy()
            taken[at : at + REPEATS * rows] = np.concatenate([generator.permutation(rows) for _ in range(REPEATS)])
        columns[name] = sample[name].take(taken).reset_index(drop=True)
    return pd.DataFrame(columns)
