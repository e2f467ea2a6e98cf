"""Columns that were meant to be numbers or times and have something else in a few rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import DataError

_MOSTLY = 0.9
"""Share of rows that must read as numbers before the rest is taken for a mistake."""
MANY_NUMBERS = 20
"""Distinct numbers from which on a column is a measurement; below, it may be a code of digits and letters."""
_FEW_TEXTS = 10
"""Distinct texts up to which they are a mistake or a mark for "missing"; more of them are part of a code."""


def check_not_mixed(values: pd.Series[Any], name: str, field: str, counts: pd.Series[int] | None = None) -> None:
    """Refuses a column of text that is nearly all numbers, or nearly all ISO dates, but not quite.

    Columns of codes pass: those with few distinct numbers, or with many distinct texts.

    Args:
        values: of the column.
        name: of the column.
        field: where the spec names it, for messages.
        counts: rows of each value that is not missing, where the caller has counted them.

    Raises:
        DataError: names the column, the first value that does not fit and its row, counted from 1.
    """
    if counts is None:
        counts = values.value_counts()
    if len(counts) <= MANY_NUMBERS:
        return
    texts = pd.Series(counts.index.astype(str))
    for what, fits in (("numbers", _numbers(texts)), ("dates", _dates(texts))):
        odd = int((~fits).sum())
        if fits.sum() < MANY_NUMBERS or not 0 < odd <= _FEW_TEXTS:
            continue
        if counts.to_numpy()[fits].sum() < _MOSTLY * counts.sum():
            continue
        wrong = set(counts.index[~fits])
        row = int(np.argmax(values.isin(wrong).to_numpy()))
        value = values.iloc[row]
        reason = (
            f"column {name!r} mixes {what} and text: row {row + 1} holds {value!r} (as do {odd} distinct texts in all)"
        )
        hint = "Correct the value, leave it empty if it is missing, or put the column into data.exclude."
        raise DataError.at(field, value, reason, hint=hint)


def _numbers(texts: pd.Series[str]) -> npt.NDArray[np.bool_]:
    return pd.to_numeric(texts, errors="coerce").notna().to_numpy()


def _dates(texts: pd.Series[str]) -> npt.NDArray[np.bool_]:
    return texts.str.match(r"\d{4}-\d{2}-\d{2}([T ]|$)").to_numpy(dtype=bool)
