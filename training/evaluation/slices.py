"""Metrics on parts of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from training.errors import Problem, SpecError, nearest
from training.evaluation.bootstrap import ResamplingOptions
from training.evaluation.metrics import Target, evaluate
from training.evaluation.statistic import FloatArray
from training.result import SliceRow

MAX_VALUES = 10
"""Values of a column that get a slice of their own; the rarer ones share one."""
NUMERIC_BINS = 4
"""A numeric or time column with more than MAX_VALUES values is cut at its quantiles into so many bins."""
SMALL_ROWS = 30
"""A slice with fewer rows is flagged: its metrics say little."""
MISSING = "missing"


def check_slices(columns: Sequence[str], known: Sequence[str], field: str = "evaluation.slices") -> None:
    """Checks the names of slice columns.

    Raises:
        SpecError: no such column.
    """
    problems = [Problem(field, name, f"no such column{nearest(name, known)}") for name in columns if name not in known]
    if problems:
        raise SpecError(f"{field}: {problems[0].value}: {problems[0].message}", problems=problems)


def evaluate_slices(  # noqa: PLR0917  # rows, scores and weights stand in the order of `evaluate`
    frame: pd.DataFrame,
    columns: Sequence[str],
    task: str,
    target: Target,
    scores: FloatArray,
    weight: FloatArray | None = None,
    *,
    metrics: Sequence[str] = (),
    threshold: float | None = None,
    **resampling: Unpack[ResamplingOptions],
) -> list[SliceRow]:
    """Metrics for each value of each column, most frequent value first.

    Args:
        frame: [n, columns] the rows as they were read.
        columns: the columns to cut by.
        task, target, scores, weight, metrics, threshold, resampling: as in `evaluate`.

    Raises:
        SpecError: no such column.
    """
    check_slices(columns, [str(name) for name in frame.columns])
    rows = []
    for column in dict.fromkeys(columns):
        labels = slice_labels(frame[column])
        for value, size in labels.value_counts(sort=True).items():
            inside = np.flatnonzero((labels == value).to_numpy())
            found = evaluate(
                task, target[inside], scores[inside], None if weight is None else weight[inside],
                metrics=metrics, threshold=threshold, **resampling,
            )  # fmt: skip
            small = int(size) < SMALL_ROWS
            rows.append(SliceRow(column=column, value=str(value), rows=int(size), metrics=found, small=small))
    return rows


def quartiles(values: pd.Series[Any]) -> pd.Series[Any]:
    """The bin of each value, at the quantiles of an ordered column; times that pandas cannot name count as its first
    and last days, in 1677 and 2262."""
    if pd.api.types.is_datetime64_any_dtype(values):
        zone = getattr(values.dtype, "tz", None)
        first, last = pd.Timestamp.min.ceil("D").tz_localize(zone), pd.Timestamp.max.floor("D").tz_localize(zone)
        values = values.clip(first, last)  # type: ignore[call-overload]  # the stubs know of numbers only
    return pd.qcut(values, NUMERIC_BINS, duplicates="drop")


def slice_labels(values: pd.Series) -> pd.Series:
    """The slice of each row, as text."""
    missing = values.isna()
    ordered = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
    if ordered and not pd.api.types.is_bool_dtype(values) and values.nunique() > MAX_VALUES:
        labels = quartiles(values).astype(object)
    else:
        labels = values.astype(object)
        counts = labels.value_counts()
        if len(counts) > MAX_VALUES:
            rest = ~labels.isin(counts.index[:MAX_VALUES])
            labels = labels.mask(rest & ~missing, f"other ({len(counts) - MAX_VALUES} values)")
    return labels.where(~missing, MISSING).map(value_text)


def value_text(value: Any) -> str:
    """A whole number without its fraction: a column with gaps has 1.0 for the 1 of one without."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
