"""Columns that say nothing, say the same as another, or name rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.data.checks.context import CheckContext
from training.result import Finding

SAME_SHARE = 0.999
"""Share of equal rows from which on two columns of categories are the same."""
SAME_CORRELATION = 0.9999
MAX_COMPARED = 300
"""Columns that are compared with each other; the number of pairs grows with its square."""


def identifiers(context: CheckContext) -> Iterator[Finding]:
    """Columns that name rows; a model learns them by heart."""
    for column in context.schema.columns:
        kept = column.role == "feature" and column.reason.startswith("kept by data.include")
        if kept or (column.role == "dropped" and column.kind == "identifier"):
            yield Finding(
                check="identifier",
                severity="warning" if kept else "info",
                columns=[column.name],
                evidence=f"{column.name}: {column.reason}",
                remedy="Take it out of data.include." if kept else "Nothing: it is not used as a feature.",
            )


def constants(context: CheckContext) -> Iterator[Finding]:
    """Columns with one value, or none."""
    for column in context.schema.columns:
        if column.role == "dropped" and column.kind in {"constant", "empty"}:
            yield Finding(
                check="constant",
                severity="info",
                columns=[column.name],
                evidence=f"{column.name}: {column.reason}",
                remedy="Nothing: it is not used as a feature. If it should vary, correct the source.",
            )


def duplicate_columns(context: CheckContext) -> Iterator[Finding]:
    """Pairs of features that say the same."""
    features = context.schema.features[:MAX_COMPARED]
    numeric = [column.name for column in features if column.kind in {"numeric", "datetime", "boolean"}]
    others = [column.name for column in features if column.kind not in {"numeric", "datetime", "boolean"}]
    for one, other, figure in [*_alike_numbers(context, numeric), *_alike_categories(context, others)]:
        yield Finding(
            check="duplicate_columns",
            severity="warning",
            columns=[one, other],
            evidence=f"{one} and {other} say the same ({figure:.4f})",
            remedy="Put one of them into data.exclude; explanations would share its weight between the two.",
            figures={"likeness": figure},
        )


def _alike_numbers(context: CheckContext, names: list[str]) -> Iterator[tuple[str, str, float]]:
    columns = []
    for name in names:
        values = context.feature(name, context.train)
        centred = values - np.nanmean(values) if not np.isnan(values).all() else values
        columns.append(np.nan_to_num(centred))
    if len(columns) < 2:
        return
    matrix = np.array(columns)
    lengths = np.linalg.norm(matrix, axis=1)
    products = (matrix @ matrix.T) / np.maximum(np.outer(lengths, lengths), 1e-300)
    for first, second in zip(*np.nonzero(np.triu(np.abs(products) >= SAME_CORRELATION, k=1)), strict=True):
        one, other = (np.isnan(context.feature(names[place], context.train)) for place in (first, second))
        if np.array_equal(one, other):
            yield names[first], names[second], float(abs(products[first, second]))


def _alike_categories(context: CheckContext, names: list[str]) -> Iterator[tuple[str, str, float]]:
    # codes count up by first appearance, so equal codes are equal partitions of the rows, whatever the labels are
    codes = {name: _by_appearance(context.feature(name, context.train)) for name in names}
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            same = float((codes[one] == codes[other]).mean())
            if same >= SAME_SHARE:
                yield one, other, same


def _by_appearance(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    _, first, inverse = np.unique(np.nan_to_num(values, nan=-1.0), return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]
