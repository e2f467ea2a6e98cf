"""Golden rows: raw rows with the scores that the model must give wherever it runs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from training.mts_scoring.model import InputError, ScoringModel
from training.result import ResultModel

ROWS = 20
TOLERANCE = 1e-6
"""Another machine's exponential may differ in its last digits; a wrong model differs in its first."""
UNSEEN = "a category never seen in training"


class Golden(ResultModel):
    """Rows as JSON carries them, and the expected scores."""

    format_version: int = 1
    columns: list[str]
    """Of the outputs: the classes, or "prediction"."""
    tolerance: float = TOLERANCE
    rows: list[dict[str, Any]]
    outputs: list[list[float]]
    """[rows][columns]."""
    edge_rows: int
    """The last so many rows are made up: missing values, extremes, unseen categories."""


def golden_rows(model: ScoringModel, frame: pd.DataFrame) -> Golden:
    """Golden rows from hold-out rows.

    The expected scores are of the rows after their way through JSON, as a consumer sends them.
    """
    names = [feature.name for feature in model.features]
    real = _through_json(frame[names].head(ROWS))
    rows = [*real, *(row for row in _edges(model, frame) if _is_read(model, row))]
    scores = model.scores(pd.DataFrame(rows, columns=names)).reshape(len(rows), -1)
    outputs = [[float(value) for value in line] for line in scores]
    columns = list(model.classes) or ["prediction"]
    return Golden(columns=columns, rows=rows, outputs=outputs, edge_rows=len(rows) - len(real))


def largest_difference(golden: Golden, predicted: pd.DataFrame) -> float:
    """Greatest absolute difference of scores to the golden ones.

    Args:
        golden: the golden rows.
        predicted: what the model said of `golden.rows`, with the columns of the outputs.
    """
    expected = np.asarray(golden.outputs, np.float64)
    return float(np.abs(predicted[golden.columns].to_numpy(np.float64) - expected).max(initial=0.0))


def _is_read(model: ScoringModel, row: dict[str, Any]) -> bool:
    try:
        model.scores(pd.DataFrame([row]))
    except InputError:
        return False
    return True


def _edges(model: ScoringModel, frame: pd.DataFrame) -> list[dict[str, Any]]:
    first = _through_json(frame.head(1))[0] if len(frame) else {}
    empty = {feature.name: None for feature in model.features}
    numeric = [feature.name for feature in model.features if feature.kind == "numeric"]
    categorical = [feature.name for feature in model.features if feature.kind == "categorical"]
    extremes = []
    for extreme in ("min", "max"):
        values = frame[numeric].min() if extreme == "min" else frame[numeric].max()
        known = {str(name): float(value) for name, value in values.items() if pd.notna(value)}
        extremes.append({name: known.get(name, first.get(name)) for name in empty})
    unseen = {name: UNSEEN if name in categorical else first.get(name) for name in empty}
    return [empty, *extremes, unseen]


def _through_json(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    return rows
