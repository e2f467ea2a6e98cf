"""The profile of each column: type, missing values, distribution, relation to the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from training.data.checks.context import CheckContext, as_numbers
from training.data.checks.score import binned, score
from training.data.labels import class_label
from training.data.table import Column
from training.result import ResultModel

BINS = 20
TOP_VALUES = 10
MAX_COLUMNS = 2_000
"""Columns that are profiled; more would make a page that nobody reads."""


class Histogram(ResultModel):
    """`edges`: one more than `counts`; times are seconds since 1970."""

    edges: list[float]
    counts: list[int]


class TopValue(ResultModel):
    """A frequent value and how often it occurs."""

    value: str
    rows: int


class ColumnProfile(ResultModel):
    """What a column looks like in all rows of the job."""

    name: str
    kind: str
    role: str
    missing: int
    missing_share: float
    unique: int
    min: float | str | None = None
    max: float | str | None = None
    mean: float | None = None
    std: float | None = None
    histogram: Histogram | None = None
    top_values: list[TopValue] = []
    relation: float | None = None
    """How well the column alone predicts the target on rows that it was not fitted on: the area under the ROC curve,
    for a regression R². None for what is no feature."""


def profile_columns(context: CheckContext) -> list[ColumnProfile]:
    """One profile for each column, in the order of the data."""
    return [_profile(context, column) for column in context.schema.columns[:MAX_COLUMNS]]


def _profile(context: CheckContext, column: Column) -> ColumnProfile:
    values = context.frame[column.name]
    found = ColumnProfile(
        name=column.name, kind=column.kind, role=column.role, missing=column.missing,
        missing_share=column.missing / max(1, len(values)), unique=column.unique,
    )  # fmt: skip
    update: dict[str, Any] = {}
    if column.role == "feature":
        bins = binned(context.feature(column.name, context.train), categories=column.kind in {"categorical", "boolean"})
        update["relation"] = score(bins, context.target, len(context.schema.classes))
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        update |= _times(values)
    elif pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        update |= _numbers(as_numbers(values))
    elif column.kind not in {"empty", "identifier", "text"}:
        counts = values.value_counts().head(TOP_VALUES)
        update["top_values"] = [
            TopValue(value=class_label(value)[:100], rows=int(rows)) for value, rows in counts.items()
        ]
    return found.model_copy(update=update)


def _numbers(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return {}
    counts, edges = np.histogram(known, bins=BINS) if np.ptp(known) else (np.array([len(known)]), known[[0, 0]])
    return {
        "min": float(known.min()), "max": float(known.max()), "mean": float(known.mean()), "std": float(known.std()),
        "histogram": Histogram(edges=edges.tolist(), counts=counts.tolist()),
    }  # fmt: skip


def _times(values: pd.Series[Any]) -> dict[str, Any]:
    if values.isna().all():
        return {}
    found = _numbers(as_numbers(values) / 1e6)
    return found | {"min": values.min().isoformat(), "max": values.max().isoformat(), "mean": None, "std": None}
