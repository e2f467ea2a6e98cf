"""Data quality of a window: missing values, labels never seen, numbers out of range, values of the wrong type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import fisher_exact, norm

from training.monitoring.discovery import q_values
from training.monitoring.inflow import WRONG
from training.monitoring.results import QualityRow
from training.monitoring.stream import Rows

MIN_RISE = 0.005
"""A smaller rise of a share is no alarm, however many rows say that it is there."""
FEW = 5
"""Below so many expected failures the exact test is used."""
Check = Literal["missing", "unseen", "range", "type"]


@dataclass(frozen=True)
class FeatureRange:
    """What the reference knows of a feature: its missing values, its labels or its bounds.

    `spread`: how far beyond its bounds a number may be, for the extremes of a sample are not those of what it was
    drawn from.
    """

    name: str
    kind: str
    rows: int
    missing: int
    labels: Any | None
    low: float
    high: float
    spread: float


def feature_ranges(reference: Rows) -> list[FeatureRange]:
    """Of all features."""
    return [_range(reference, feature.name, feature.kind) for feature in reference.schema.features]


def check_quality(ranges: Sequence[FeatureRange], rows: Rows, alpha: float) -> list[QualityRow]:
    """Checks that fail significantly more often than in the reference (flagged), or fail at all.

    False discoveries are controlled at `alpha` over all features and checks.
    """
    wrong = _wrong_counts(rows)
    found: list[tuple[FeatureRange, Check, int, int]] = []
    for known in ranges:
        column = rows.column(known.name)
        types = wrong.get(known.name, 0)
        found.append((known, "missing", _missing(column) - types, known.missing))
        found.append((known, "type", types, 0))
        if known.labels is not None:
            unseen = pc.sum(pc.invert(pc.is_in(column.drop_null(), value_set=known.labels))).as_py() or 0
            found.append((known, "unseen", int(unseen), 0))
        elif known.kind == "numeric":
            found.append((known, "range", _outside(column, known), 0))
    p_values = [_rise(count, len(rows), before, known.rows) for known, _, count, before in found]
    adjusted = q_values(p_values)
    answers = []
    for (known, check, count, before), q_value in zip(found, adjusted, strict=True):
        share, reference = count / len(rows), before / known.rows
        alarm = bool(q_value <= alpha and share - reference > MIN_RISE)
        if alarm or count:
            answers.append(QualityRow(feature=known.name, check=check, share=share, reference=reference,
                                      q_value=float(q_value), alarm=alarm))  # fmt: skip
    return answers


def _range(reference: Rows, name: str, kind: str) -> FeatureRange:
    column = reference.column(name)
    missing, rows = _missing(column), len(reference)
    if kind == "categorical":
        return FeatureRange(name, kind, rows, missing, column.unique().drop_null(), 0.0, 0.0, 0.0)
    low = high = spread = np.nan
    if kind == "numeric":
        values = np.asarray(column.to_numpy(), dtype=np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            low, high = float(values.min()), float(values.max())
            spread = 0.1 * (high - low)
    return FeatureRange(name, kind, rows, missing, None, low, high, spread)


def _missing(column: Any) -> int:
    nulls = int(column.null_count)
    if pa.types.is_floating(column.type):
        nulls += int(pc.sum(pc.is_nan(column)).as_py() or 0)
    return nulls


def _outside(column: Any, known: FeatureRange) -> int:
    values = np.asarray(column.to_numpy(), dtype=np.float64)
    return int(((values < known.low - known.spread) | (values > known.high + known.spread)).sum())


def _wrong_counts(rows: Rows) -> dict[str, int]:
    """Values that could not be read, by feature."""
    marks = rows.table[WRONG].drop_null() if WRONG in rows.table.column_names else pa.chunked_array([], pa.string())
    counts: dict[str, int] = {}
    for mark in marks.to_pylist():
        for name in mark.splitlines():
            counts[name] = counts.get(name, 0) + 1
    return counts


def _rise(count: int, rows: int, before: int, rows_before: int) -> float:
    """One-sided p-value that a share has risen: pooled z-test, Fisher's exact test where few are expected.

    The reference gets two failures more, for a share of none among m rows may well be 2 / m in truth.
    """
    if count == 0:
        return 1.0
    before, rows_before = before + 2, rows_before + 2
    pooled = (count + before) / (rows + rows_before)
    if pooled * min(rows, rows_before) < FEW:
        table = [[count, rows - count], [before, rows_before - before]]
        return float(fisher_exact(table, alternative="greater").pvalue)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / rows_before))
    return float(norm.sf((count / rows - before / rows_before) / deviation)) if deviation else 1.0
