"""Reads the raw columns of a frame into plain numpy arrays, the same way for training and for scoring.

What callers send differs by where it comes from: CSV gives 1.0 for the integer 1 when the column has gaps, JSON gives
1 or "1", Parquet gives typed columns. The rules:

* numeric: integers, floats, decimals and booleans; text, even "12", is refused, because a reader that leaves numbers as
  text has usually met something that is no number.
* boolean: True/False, 0/1 (also 0.0/1.0) and the texts "true"/"false" in any case.
* categorical: compared by label. A text is its own label; the integer 1 and the float 1.0 have the label "1"; True has
  "True". So 1, 1.0 and "1" are one category, and "1.0" (text that somebody meant) is another.
* datetime: datetime columns, datetime and date objects, and ISO 8601 texts; times with a zone are taken in UTC, times
  without one are taken as UTC.

Missing everywhere: None, NaN, NaT, pandas.NA.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import InputError, is_missing, shown, wrong_type

_NUMBERS_AS_OBJECTS = frozenset({"integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty"})
_TRUTH = {"true": 1.0, "false": 0.0}
_PLAIN = {str, int, float, bool, type(None)}
TABLE_ROWS = 512
"""Up to so many rows a plain dictionary is faster than the fixed cost of pandas' hash table."""


def read_numbers(values: pd.Series[Any], name: str) -> npt.NDArray[Any]:
    """A numeric column as an array of a real dtype, [n]; missing is NaN.

    Raises:
        InputError: a value is not a number.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return values.to_numpy()
    if pd.api.types.infer_dtype(values, skipna=True) in _NUMBERS_AS_OBJECTS or _is_extension_number(dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    raise wrong_type(values, name, "a number", (int, float, np.number, Decimal, bool, np.bool_))


def read_booleans(values: pd.Series[Any], name: str) -> npt.NDArray[np.float64]:
    """A boolean column as 0.0, 1.0 and NaN, [n].

    Raises:
        InputError: a value is neither true nor false.
    """
    codes, distinct = _distinct(values, name)
    truth = np.array([*(_truth(value, name) for value in distinct), np.nan])
    return truth[codes]


def read_labels(values: pd.Series[Any], name: str) -> tuple[npt.NDArray[np.intp], list[str]]:
    """A categorical column as positions in a list of labels, [n], -1 for missing. A label may be listed twice.

    Raises:
        InputError: a value is no scalar.
    """
    codes, distinct = _distinct(values, name)
    return codes, [label(value, name) for value in distinct]


def read_categories(
    values: pd.Series[Any], name: str, lookup: Mapping[str, float], other: float
) -> npt.NDArray[np.float64]:
    """A categorical column as the codes in `lookup`, [n]; `other` for labels that are not there, NaN for missing.

    Raises:
        InputError: a value is no scalar.
    """
    codes, labels = read_labels(values, name)
    table = np.array([*(lookup.get(text, other) for text in labels), np.nan])
    return table[codes]


def label(value: Any, name: str) -> str:
    """The label of one value of a categorical column; see the module.

    Raises:
        InputError: the value is no scalar.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(
        value, int | np.integer | np.bool_ | Decimal | dt.date | dt.time | dt.timedelta | pd.Period | pd.Interval
    ):
        return str(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value))
    raise InputError(f"column {name!r} is categorical; {shown(value)} is neither text, number nor time")


def _distinct(values: pd.Series[Any], name: str) -> tuple[npt.NDArray[np.intp], Iterable[Any]]:
    """Positions, [n], in a list of distinct values; -1 for missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        held: Any = values.array  # `values.cat` takes longer than all that is read by it
        return held.codes.astype(np.intp), values.dtype.categories
    # to pandas' hash table True is 1: a column that mixes types is therefore read as few rows are
    if len(values) <= TABLE_ROWS or pd.api.types.infer_dtype(values, skipna=True) in {"mixed", "mixed-integer"}:
        listed = values.tolist()
        return _distinct_plain(listed) if {value.__class__ for value in listed} <= _PLAIN else _each(listed)
    try:
        return pd.factorize(values)
    except TypeError:
        value = next(value for value in values if not _is_hashable(value))
        raise InputError(f"column {name!r}: {shown(value)} is no single value") from None


def _distinct_plain(values: list[Any]) -> tuple[npt.NDArray[np.intp], list[Any]]:
    seen: dict[tuple[type, Any], int] = {}
    codes = [seen.setdefault((value.__class__, value), len(seen)) for value in values]
    places = np.array([-1 if is_missing(value) else place for (_, value), place in seen.items()], np.intp)
    return places[codes], [0 if is_missing(value) else value for _, value in seen]


def _each(values: list[Any]) -> tuple[npt.NDArray[np.intp], list[Any]]:
    """Values of which two may be equal and yet have different labels, as Decimal("1") and Decimal("1.0")."""
    codes = np.fromiter((-1 if is_missing(value) else i for i, value in enumerate(values)), np.intp, len(values))
    return codes, [0 if is_missing(value) else value for value in values]


def _truth(value: Any, name: str) -> float:
    if isinstance(value, bool | np.bool_ | int | float | np.number) and value in {0, 1}:
        return float(value)
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise InputError(f"column {name!r} is boolean; {shown(value)} is neither true nor false")


def _is_extension_number(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.api.types.is_numeric_dtype(dtype.categories.dtype)
    return not isinstance(dtype, np.dtype) and pd.api.types.is_numeric_dtype(dtype)


def _is_hashable(value: Any) -> bool:
    return getattr(type(value), "__hash__", None) is not None
