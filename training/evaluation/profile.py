"""What the training rows look like: for the report, and as the reference that later rows are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from training.evaluation.statistic import FloatArray
from training.mts_scoring.columns import Feature
from training.result import ResultModel

MAX_ROWS = 100_000
"""A profile of more rows says nothing more."""
QUANTILES = tuple(round(0.1 * step, 1) for step in range(11))
MAX_CATEGORIES = 50


class ColumnProfile(ResultModel):
    """One column of the training rows."""

    name: str
    kind: str
    missing: float
    """Share of rows."""
    unique: int
    quantiles: list[float] = []
    """Numbers and times (seconds since 1970): deciles from the least to the greatest."""
    mean: float | None = None
    shares: dict[str, float] = {}
    """Categories: share of the rows that have a value, most frequent first."""


class Profile(ResultModel):
    """The reference: the columns of the training rows, and the scores of the hold-out rows."""

    rows: int
    columns: list[ColumnProfile]
    scores: dict[str, list[float]]
    """Deciles of the score of each class, or of "prediction"."""


def make_profile(frame: pd.DataFrame, features: Iterable[Feature], scores: FloatArray, names: list[str]) -> Profile:
    """Profiles rows.

    Args:
        frame: [n, columns] raw rows.
        features: the columns to describe.
        scores: [m, k] or [m], of hold-out rows.
        names: of the k scores.
    """
    sample = frame if len(frame) <= MAX_ROWS else frame.sample(MAX_ROWS, random_state=0)
    by_class = scores.reshape(len(scores), -1)
    return Profile(
        rows=len(frame),
        columns=[_column(sample[feature.name], feature) for feature in features],
        scores={name: _deciles(by_class[:, position]) for position, name in enumerate(names)},
    )


def _column(values: pd.Series[Any], feature: Feature) -> ColumnProfile:
    filled = values.dropna()
    missing = 1.0 - len(filled) / max(1, len(values))
    described = ColumnProfile(name=feature.name, kind=feature.kind, missing=missing, unique=int(filled.nunique()))
    if feature.kind == "numeric":
        numbers = filled.to_numpy(dtype=np.float64)
        if len(numbers):
            return described.model_copy(update={"quantiles": _deciles(numbers), "mean": float(numbers.mean())})
        return described
    if feature.kind == "datetime":
        seconds = pd.to_datetime(filled).to_numpy(dtype="datetime64[s]").astype(np.float64)
        return described.model_copy(update={"quantiles": _deciles(seconds) if len(seconds) else []})
    counts = filled.map(str).value_counts().head(MAX_CATEGORIES)
    shares = {str(value): count / len(filled) for value, count in counts.items()}
    return described.model_copy(update={"shares": shares})


def _deciles(numbers: FloatArray) -> list[float]:
    return [float(value) for value in np.quantile(numbers, QUANTILES)]
