"""Reads datetime columns."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import FEW_ROWS, InputError, is_missing, shown, wrong_type

_TIMES_AS_OBJECTS = frozenset({"string", "datetime", "datetime64", "date", "empty", "mixed"})
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?")
_WANTED = "a time in ISO 8601 from 1678 to 2261, such as 2024-01-31T12:00:00"


def read_times(values: pd.Series[Any], name: str) -> npt.NDArray[np.datetime64]:
    """A datetime column as datetime64[us] in UTC, [n]; missing is NaT.

    Raises:
        InputError: a value is no time, or is outside the years 1678 to 2261.
    """
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        return values.to_numpy().astype("datetime64[us]")
    few = _few_times(values) if len(values) <= FEW_ROWS else None
    if few is not None:
        return few
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        found = pd.api.types.infer_dtype(values, skipna=True)
        if found not in _TIMES_AS_OBJECTS and not values.isna().all():
            raise wrong_type(values, name, _WANTED, (dt.date, np.datetime64))
    try:
        times = pd.to_datetime(values, format="ISO8601", utc=True)
    except (ValueError, TypeError):
        parsed = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
        wrong = values[parsed.isna() & values.notna()]
        value = wrong.iloc[0] if len(wrong) else values.iloc[0]
        raise InputError(f"column {name!r} should hold {_WANTED}, not {shown(value)}") from None
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


def _few_times(values: pd.Series[Any]) -> npt.NDArray[np.datetime64] | None:
    """Plainly written times without the milliseconds that pandas takes to begin; None leaves the column to pandas."""
    times: list[dt.datetime | None] = []
    for value in values.tolist():
        if is_missing(value):
            times.append(None)
            continue
        if not (isinstance(value, str) and _PLAIN_TIME.fullmatch(value)):
            return None
        try:
            time = dt.datetime.fromisoformat(value)
        except ValueError:  # such as the 31st of February, which the caller words as an error
            return None
        if not 1678 <= time.year <= 2261:
            return None
        times.append(time.astimezone(dt.UTC).replace(tzinfo=None) if time.tzinfo else time)
    return np.array(times, dtype="datetime64[us]")
