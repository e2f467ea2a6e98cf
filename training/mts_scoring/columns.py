"""What is said about raw columns by all that reads them: features, missing values, errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

FEW_ROWS = 64
"""Up to so many rows a plain loop is faster than the fixed cost of pandas' vectorised functions."""

_MAX_SHOWN_CHARS = 80


class InputError(ValueError):
    """Rows that the model cannot take: a column is missing, or holds a value of the wrong type."""


@dataclass(frozen=True)
class Feature:
    """A column that the model reads; `kind` is numeric, categorical, boolean or datetime."""

    name: str
    kind: str


def check_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Checks that the frame has every column, once.

    Raises:
        InputError: names the missing columns, and for the first of them the nearest one that is there.
    """
    columns = frame.columns
    wanted = tuple(names)
    missing = [name for name in wanted if name not in columns]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:10]) + (", …" if len(missing) > 10 else "")
        close = difflib.get_close_matches(missing[0], [str(column) for column in columns], n=1)
        hint = f"; nearest to {missing[0]!r}: {close[0]!r}" if close else ""
        raise InputError(f"the model needs columns that the rows lack: {shown}{hint}")
    if not columns.is_unique:
        twice = [name for name in columns[columns.duplicated()] if name in set(wanted)]
        if twice:
            raise InputError(f"column {twice[0]!r} is there more than once")


def is_missing(value: Any) -> bool:
    """Whether a scalar stands for a missing value."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT


def shown(value: Any) -> str:
    """A value as a message may show it, with its type."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return f"{text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + '…'} ({type(value).__name__})"


def wrong_type(values: pd.Series[Any], name: str, wanted: str, allowed: tuple[type, ...]) -> InputError:
    """The error that names the first value that is neither missing nor of an allowed type."""
    wrong = next(
        (value for value in values if not is_missing(value) and not isinstance(value, allowed)), values.iloc[0]
    )
    return InputError(f"column {name!r} should hold {wanted}, not {shown(wrong)}")
