"""Finds rows on which a model is worse than on the others, without being told where to look."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr

from training.evaluation.metrics import Target
from training.evaluation.slices import MAX_VALUES, MISSING, quartiles, value_text
from training.evaluation.statistic import FloatArray, IntArray

FALSE_DISCOVERY_RATE = 0.05
MIN_ROWS = 30
MAX_COLUMNS = 50
PAIRED_COLUMNS = 8
"""Pairs are looked at among the first so many columns; all pairs of a wide table would be thousands of tests."""
MAX_FOUND = 10


@dataclass(frozen=True)
class Found:
    """A slice whose rows have a greater loss: see `WeakSlice` of the report."""

    where: dict[str, str]
    rows: int
    loss: float
    loss_elsewhere: float
    p_value: float


def row_loss(task: str, target: Target, scores: FloatArray) -> FloatArray:
    """The loss of each row: log loss of a classification, squared error of a regression; [n]."""
    if task == "regression":
        return np.asarray((scores.reshape(len(target)) - target) ** 2, np.float64)
    by_class = scores if scores.ndim == 2 else np.column_stack([1.0 - scores, scores])
    tiny = np.finfo(np.float64).eps
    right = by_class[np.arange(len(target)), np.asarray(target, np.int64)]
    return np.asarray(-np.log(np.clip(right, tiny, 1.0)), np.float64)


def find_weak_slices(frame: pd.DataFrame, columns: Iterable[str], loss: FloatArray) -> tuple[int, list[Found]]:
    """Slices by one column and by two, worst first.

    A slice is reported when Welch's one-sided test says that its mean loss is greater than that of all other rows, at
    a false discovery rate of 5 % over all slices that were looked at (Benjamini and Hochberg 1995), and when no part
    of its condition alone does as badly.

    Args:
        frame: [n, columns] the rows as they were read.
        columns: those to cut by, most important first.
        loss: [n], see `row_loss`.

    Returns:
        How many slices were tested, and those found.
    """
    named = [(name, *slice_codes(frame[name])) for name in itertools.islice(columns, MAX_COLUMNS)]
    conditions: list[dict[str, str]] = []
    codes: list[tuple[IntArray, int]] = []
    for name, code, labels in named:
        codes.append((code, len(labels)))
        conditions.extend({name: label} for label in labels)
    for (one, first, of_one), (two, second, of_two) in itertools.combinations(named[:PAIRED_COLUMNS], 2):
        codes.append((first * len(of_two) + second, len(of_one) * len(of_two)))
        conditions.extend({one: a, two: b} for a in of_one for b in of_two)
    if not codes:
        return 0, []
    rows, means, rest, p_values = _tests(codes, loss)
    tested = np.flatnonzero(~np.isnan(p_values))
    adjusted = np.full(len(p_values), np.nan)
    adjusted[tested] = _benjamini_hochberg(p_values[tested])
    hits = [
        Found(conditions[index], int(rows[index]), float(means[index]), float(rest[index]), float(adjusted[index]))
        for index in tested[adjusted[tested] <= FALSE_DISCOVERY_RATE]
    ]
    return len(tested), _distinct(sorted(hits, key=lambda found: -found.loss))


def slice_codes(values: pd.Series[Any]) -> tuple[IntArray, list[str]]:
    """The slice of each row as a number, and the slices as text; the same slices as `slice_labels` makes."""
    ordered = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
    if ordered and not pd.api.types.is_bool_dtype(values) and values.nunique() > MAX_VALUES:
        cut = quartiles(values)
        code = cut.cat.codes.to_numpy().astype(np.int64)
        labels = [str(interval) for interval in cut.cat.categories]
    else:
        named = values.astype(object)
        counts = named.value_counts()
        code = np.minimum(counts.index.get_indexer(pd.Index(named)), MAX_VALUES).astype(np.int64)
        labels = [value_text(value) for value in counts.index[:MAX_VALUES]]
        if len(counts) > MAX_VALUES:
            labels.append(f"other ({len(counts) - MAX_VALUES} values)")
    if (code < 0).any():
        code = np.where(code < 0, len(labels), code)
        labels.append(MISSING)
    return code, labels


def _tests(
    codes: Sequence[tuple[IntArray, int]], loss: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rows, mean loss, mean loss of the others, and one-sided p-value of each slice; NaN for one that is too small."""
    squared = loss**2
    rows = np.concatenate([np.bincount(code, minlength=size) for code, size in codes]).astype(np.float64)
    sums = np.concatenate([np.bincount(code, loss, minlength=size) for code, size in codes])
    squares = np.concatenate([np.bincount(code, squared, minlength=size) for code, size in codes])
    others = len(loss) - rows
    usable = (rows >= MIN_ROWS) & (others >= MIN_ROWS)
    rows_, others_ = np.where(usable, rows, 2.0), np.where(usable, others, 2.0)
    mean, rest = sums / rows_, (loss.sum() - sums) / others_
    variance = np.maximum(squares / rows_ - mean**2, 0) * rows_ / (rows_ - 1) / rows_
    variance_rest = np.maximum((squared.sum() - squares) / others_ - rest**2, 0) * others_ / (others_ - 1) / others_
    both = np.maximum(variance + variance_rest, np.finfo(np.float64).tiny)
    freedom = both**2 / np.maximum(variance**2 / (rows_ - 1) + variance_rest**2 / (others_ - 1),
                                   np.finfo(np.float64).tiny)  # fmt: skip
    p_values = stdtr(np.maximum(freedom, 1.0), -(mean - rest) / np.sqrt(both))
    return rows, mean, rest, np.where(usable, p_values, np.nan)


def _benjamini_hochberg(p_values: npt.NDArray[np.float64]) -> FloatArray:
    """Adjusted p-values, in the order given."""
    order = np.argsort(p_values)
    ranked = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def _distinct(hits: Sequence[Found]) -> list[Found]:
    """Leaves out a pair where one of its parts alone is found too with at least nine tenths of its loss."""
    single = {next(iter(found.where.items())): found.loss for found in hits if len(found.where) == 1}
    kept = [
        found for found in hits
        if len(found.where) == 1 or all(single.get(part, 0.0) < 0.9 * found.loss for part in found.where.items())
    ]  # fmt: skip
    return kept[:MAX_FOUND]
