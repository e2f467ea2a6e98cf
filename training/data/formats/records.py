"""From rows as Python dictionaries to an Arrow table."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa

from training.data.labels import class_label
from training.errors import DataError

_TIMES = (dt.datetime, dt.date)


def table_of(rows: list[dict[str, Any]], field: str) -> Any:
    """The rows as a pyarrow.Table, columns in the order in which their names first occur; an absent key is missing.

    Values of different kinds in one column (numbers and text) make it a column of text; whether that can be used is
    for `infer_schema` to say.

    Raises:
        DataError: no columns, or a value is a list or an object; names the column and the row.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise DataError.at(
            field, None, "rows without columns", hint='Write rows such as {"age": 41, "target": "good"}.'
        )
    return pa.table([_column([row.get(name) for row in rows], name, field) for name in names], names=names)


def _column(values: list[Any], name: str, field: str) -> Any:
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if not kinds:
        return pa.nulls(len(values))
    if kinds <= {int, float} and not (float in kinds and _has_long_integer(values)):
        return _numbers(values, whole=kinds == {int})
    if len(kinds) == 1 and kinds <= {bool, str, decimal.Decimal, *_TIMES}:
        return pa.array(values)
    for row, value in enumerate(values, start=1):
        if value is not None and not isinstance(value, str | bool | int | float | decimal.Decimal | dt.date):
            reason = f"row {row} of column {name!r} is {type(value).__name__}"
            raise DataError.at(
                field, value, reason, hint="Write text, a number, a boolean or null; spread the rest over columns."
            )
    return pa.array([None if value is None else class_label(value) for value in values], pa.string())


def _numbers(values: list[Any], *, whole: bool) -> Any:
    if not whole:
        return pa.array([np.nan if value is None else value for value in values], pa.float64())
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _has_long_integer(values: list[Any]) -> bool:
    return any(isinstance(value, int) and abs(value) > 2**53 for value in values)
