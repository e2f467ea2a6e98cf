"""Raw values of a feature as the stored column: what cannot be read becomes missing and is marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from training.mts_scoring.columns import InputError, is_missing
from training.mts_scoring.reading import label
from training.mts_scoring.times import read_times

BoolArray = npt.NDArray[np.bool_]


def stored_column(values: Sequence[Any], kind: str, name: str) -> tuple[Any, BoolArray]:
    """A feature as it is stored, and which values could not be read, [n].

    Args:
        values: [n] raw: JSON scalars, or what pandas and Arrow give.
        kind: numeric, boolean, categorical or datetime.
        name: of the feature, for messages.

    Returns:
        pyarrow.Array and a mask.
    """
    if kind == "numeric":
        return _quick(values, pa.float64(), _number)
    if kind == "boolean":
        return _one_by_one(values, pa.float64(), _truth)
    if kind == "categorical":
        return _quick(values, pa.string(), lambda value: label(value, name))
    return _times(values, name)


def _quick(values: Sequence[Any], kind: Any, read: Callable[[Any], Any]) -> tuple[Any, BoolArray]:
    """Arrow's own conversion where every value has the plain type; it refuses a mixture, which is then read singly."""
    try:
        column = pa.array(values, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _one_by_one(values, kind, read)
    return column, np.zeros(len(values), dtype=np.bool_)


def _one_by_one(values: Sequence[Any], kind: Any, read: Callable[[Any], Any]) -> tuple[Any, BoolArray]:
    found: list[Any] = []
    wrong = np.zeros(len(values), dtype=np.bool_)
    for index, value in enumerate(values):
        try:
            found.append(None if is_missing(value) else read(value))
        except (InputError, ValueError, TypeError):
            found.append(None)
            wrong[index] = True
    return pa.array(found, type=kind, from_pandas=True), wrong


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError("a text is no number, even where it looks like one")
    return float(value)


def _truth(value: Any) -> float:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return float(value.lower() == "true")
    if isinstance(value, bool | np.bool_ | int | float | np.number) and value in {0, 1}:
        return float(value)
    raise ValueError("neither true nor false")


def _times(values: Sequence[Any], name: str) -> tuple[Any, BoolArray]:
    wrong = np.zeros(len(values), dtype=np.bool_)
    try:
        times = read_times(pd.Series(list(values), dtype=object), name)
    except InputError:
        times = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
        for index, value in enumerate(values):
            try:
                times[index] = read_times(pd.Series([value], dtype=object), name)[0]
            except InputError:
                wrong[index] = True
    return pa.array(times, type=pa.timestamp("us")), wrong
