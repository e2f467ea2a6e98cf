"""How sure a model is of the pool, and how much it has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from training.active_learning.rows import Floats
from training.mts_scoring.model import ScoringModel

SAMPLE_ROWS = 1_000
"""Rows of the pool, always the same, on which models are compared."""


def signals(rows: pd.DataFrame, model: ScoringModel, before: ScoringModel | None, seed: int) -> dict[str, Any]:
    """Overall uncertainty (Zhu, Wang and Hovy 2010, "Confidence-Based Stopping Criteria for Active Learning"), and how
    far predictions agree with those of the model before (Cohen's kappa; Bloodgood and Vijay-Shanker 2009, "A Method
    for Stopping Active Learning Based on Stabilizing Predictions"). For regression the correlation of the two.
    """
    chosen = np.random.default_rng(seed).permutation(len(rows))[:SAMPLE_ROWS]
    sample = rows.take(np.sort(chosen))
    now = model.scores(sample)
    found: dict[str, Any] = {"uncertainty": uncertainty(now), "stability": None}
    if before is not None and before.classes == model.classes:
        found["stability"] = agreement(now, before.scores(sample))
    return found


def uncertainty(scores: Floats) -> float | None:
    """Mean entropy as a share of the greatest that is possible; None for regression."""
    if scores.ndim == 1:
        return None
    return float(entropies(scores).mean() / np.log(scores.shape[1]))


def entropies(scores: Floats) -> Floats:
    """[n], in nats."""
    logs: Floats = np.log(np.clip(scores, 1e-12, 1.0))
    found: Floats = -(scores * logs).sum(axis=1)
    return found


def agreement(now: Floats, before: Floats) -> float:
    """1 for the same predictions, 0 for agreement by chance."""
    if now.ndim == 1:
        flat = np.std(now) == 0 or np.std(before) == 0
        return float(np.array_equal(now, before)) if flat else float(np.corrcoef(now, before)[0, 1])
    first, second = now.argmax(axis=1), before.argmax(axis=1)
    # kappa is not defined where both give one class throughout
    return 1.0 if np.array_equal(first, second) else float(cohen_kappa_score(first, second))
