"""Columns that know the answer: they predict too well, or are filled in only once it is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.data.checks.context import CheckContext, Numbers
from training.data.checks.score import area, binned, score
from training.result import Finding

CERTAIN = 0.999
"""From here on (area or R²) one column alone gives the target away."""
SUSPICIOUS = 0.98
PURE = 0.995
"""Share of one class among the rows that are filled in, from which on the column says the answer by being there."""
MISSING_AREA = 0.7
"""What the mere absence of a value tells of the target, as an area, from which on it is told."""
_MIN_ROWS = 20
_CATEGORIES = frozenset({"categorical", "boolean", "text", "identifier"})


def single_feature(context: CheckContext) -> Iterator[Finding]:
    """A feature that alone predicts the target."""
    schema = context.schema
    for column in schema.features:
        values = context.feature(column.name, context.train)
        found = score(binned(values, categories=column.kind in _CATEGORIES), context.target, len(schema.classes))
        if found < SUSPICIOUS:
            continue
        what = "R²" if schema.task == "regression" else "area under the ROC curve"
        yield Finding(
            check="single_feature",
            severity="error" if found >= CERTAIN else "warning",
            columns=[column.name],
            evidence=f"{column.name} alone predicts {schema.target} with {what} {found:.4f}",
            remedy=f"If {column.name} is not known before the event, put it into data.exclude.",
            figures={"score": found},
        )


def after_event(context: CheckContext) -> Iterator[Finding]:
    """A column that is filled in, or empty, only where the answer is one of two or more."""
    if context.schema.task == "regression":
        return
    for name, missing in _gaps(context):
        for state, rows in (("filled in", ~missing), ("empty", missing)):
            purity, base, label = _purity(context, rows)
            if rows.sum() >= _MIN_ROWS and purity >= PURE and base <= 0.9 * purity:
                yield Finding(
                    check="after_event",
                    severity="error",
                    columns=[name],
                    evidence=f"where {name} is {state}, {purity:.1%} of the rows are {label}; of all rows {base:.1%}",
                    remedy=f"It looks as if {name} is written after the event; put it into data.exclude.",
                    figures={"purity": purity, "base": base},
                )
                break


def missingness(context: CheckContext) -> Iterator[Finding]:
    """Whether a value is missing predicts the target."""
    schema = context.schema
    for name, missing in _gaps(context):
        if schema.task == "regression":
            found = abs(float(np.corrcoef(missing, context.target)[0, 1])) if np.ptp(context.target) else 0.0
            told, limit = f"correlation {found:.2f}", 0.5
        else:
            areas = [area(context.target == code, missing.astype(float)) for code in range(len(schema.classes))]
            found = max(max(one, 1 - one) for one in areas)
            told, limit = f"area under the ROC curve {found:.2f}", MISSING_AREA
        if found >= limit:
            yield Finding(
                check="missingness",
                severity="warning",
                columns=[name],
                evidence=f"whether {name} is missing predicts {schema.target}: {told}",
                remedy="Find out why it is missing. If that is decided after the event, put it into data.exclude.",
                figures={"score": found},
            )


def _gaps(context: CheckContext) -> Iterator[tuple[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """Each feature that has missing values among the sampled train rows, with where."""
    for column in context.schema.features:
        if column.missing:
            missing = np.isnan(context.feature(column.name, context.train))
            if _MIN_ROWS <= missing.sum() <= len(missing) - _MIN_ROWS:
                yield column.name, missing


def _purity(context: CheckContext, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, float, str]:
    """Share of the most frequent class of some rows, its share in all rows, its label."""
    target: Numbers = context.target
    counts = np.bincount(target[rows].astype(np.int64), minlength=len(context.schema.classes))
    code = int(np.argmax(counts))
    return counts[code] / max(1, rows.sum()), float((target == code).mean()), context.schema.classes[code]
