"""Which features explain a change: how far each has moved, weighted by what the model makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from training.monitoring.results import AttributionRow, DriftRow
from training.mts_scoring.model import ScoringModel
from training.mts_scoring.xgboost_predictor import XGBoostPredictor

IMPORTANCE_ROWS, LEAST_ROWS = 1_000, 60
SCORING_US = 4e6
"""About how long all scores may take: a slow model is asked of fewer rows."""
TOP = 10


def importances(model: ScoringModel, frame: pd.DataFrame) -> dict[str, float]:
    """How much each feature moves the model's scores on some reference rows.

    Boosted trees: the mean absolute SHAP value (Lundberg et al. 2020), exact. Other models: the mean absolute change of
    the scores when the feature's values are dealt out anew among the rows.

    Args:
        model: the version.
        frame: [n, features] raw rows.
    """
    fast = int(SCORING_US // ((1 + len(model.features)) * model.predictor.row_us()))
    rows = frame.head(max(LEAST_ROWS, min(IMPORTANCE_ROWS, fast)))
    if isinstance(model.predictor, XGBoostPredictor):
        return _shap(model.predictor, rows)
    base, order = model.scores(rows), np.random.default_rng(0).permutation(len(rows))
    found = {}
    for feature in model.features:
        dealt = rows.assign(**{feature.name: rows[feature.name].to_numpy()[order]})
        found[feature.name] = float(np.abs(model.scores(dealt) - base).mean())
    return found


def attribute(importance: Mapping[str, float], tests: Sequence[DriftRow]) -> list[AttributionRow]:
    """Importance times effect beyond noise, as shares of their sum, largest first.

    Args:
        importance: by feature.
        tests: of a window; of several tests of a feature the first counts.
    """
    effects: dict[str, float] = {}
    for row in tests:
        effects.setdefault(row.column, row.excess)
    weights = {name: importance.get(name, 0.0) * effect for name, effect in effects.items()}
    total = sum(weights.values())
    if total == 0:
        return []
    ordered = sorted(weights, key=lambda name: -weights[name])[:TOP]
    return [
        AttributionRow(feature=name, share=weights[name] / total, importance=importance[name], effect=effects[name])
        for name in ordered
        if weights[name] > 0
    ]


def _shap(predictor: XGBoostPredictor, rows: pd.DataFrame) -> dict[str, float]:
    encoder = predictor.encoder
    values = predictor.booster.predict(xgb.DMatrix(encoder.transform(rows)), pred_contribs=True)
    by_column: npt.NDArray[np.float64] = np.abs(np.asarray(values, dtype=np.float64))
    by_column = by_column.reshape(len(rows), -1, by_column.shape[-1]).mean(axis=(0, 1))[:-1]
    found: dict[str, float] = {}
    for source, value in zip(encoder.sources, by_column, strict=True):
        found[source] = found.get(source, 0.0) + float(value)
    return found
