"""The rows that trials are measured on: the validation rows, or folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, StratifiedKFold

from training.data.table import Rows, TableSchema
from training.evaluation import evaluate
from training.models import FitData
from training.tuning.objective import COSTS
from training.tuning.work import held_out_of

NOISE_RESAMPLES, NOISE_CONFIDENCE, NOISE_WIDTH = 200, 0.6827, 2.0
"""The middle 68 % of a normal distribution are two standard deviations wide."""


def fold_places(rows: Rows, schema: TableSchema, folds: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Places of the held-out rows of each fold, drawn by chance; of classes, each fold has its share."""
    if schema.task == "regression":
        splitter = KFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [held.astype(np.int64) for _, held in splitter.split(np.zeros(len(rows)), rows.target)]


def fold_data(rows: Rows, schema: TableSchema, held: Sequence[npt.NDArray[np.int64]]) -> tuple[FitData, ...]:
    """For each fold the rows to learn from, and those that it holds out."""
    everything = np.arange(len(rows))
    return tuple(
        FitData(schema, _taken(rows, np.setdiff1d(everything, places)), _taken(rows, places)) for places in held
    )


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


def _taken(rows: Rows, places: npt.NDArray[np.int64]) -> Rows:
    weight = None if rows.weight is None else rows.weight[places]
    return Rows(rows.frame.iloc[places].reset_index(drop=True), rows.target[places], weight)
