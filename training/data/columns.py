"""What kind of column a column is, by its values and, for identifiers, by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import ColumnKind

EXACT_ROWS = 200_000
"""Up to this many rows distinct numbers are counted exactly."""
SAMPLE_ROWS = 50_000
"""In longer columns they are counted among this many evenly spaced rows."""

_UNIQUE_SHARE = 0.95
"""Share of distinct values from which on text names rows rather than groups of rows."""
_TEXT_WORDS = 4.0
"""Words per value from which on mostly distinct text is prose."""
_TEXT_CHARS = 60.0
_ID_NAME = re.compile(
    r"(?:^|[\W_])(?:id|ids|uuid|guid|rowid|row_?(?:number|num|nr|no)|index|key)$|^unnamed: \d+$", re.IGNORECASE
)
_ID_CAMEL = re.compile(r"[a-z0-9](?:Id|ID|Uuid|UUID|Key)$")


@dataclass(frozen=True)
class Profile:
    """What the values of a column say. `unique` counts distinct values without the missing ones."""

    kind: ColumnKind
    missing: int
    unique: int
    reason: str = ""
    counts: pd.Series[int] | None = field(default=None, compare=False, repr=False)
    """Rows of each text, in the order in which they appear; None where it is not known."""


def profile(values: pd.Series[Any], name: str) -> Profile:
    """Looks at a column of n rows.

    - empty: every value is missing. constant: one value in every row.
    - boolean, datetime, numeric: by type; numeric includes float columns of any uniqueness.
    - identifier: whole numbers, all different, under a name such as `id` or `customer_id`; or short text of which 95 %
      is different. A number is never taken for an identifier by its values alone: an amount may be unique too.
    - text: prose, by words and length. categorical: all other text.
    """
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        plain = isinstance(values.dtype, np.dtype)
        return _numeric(values.to_numpy() if plain else values.to_numpy(dtype=np.float64, na_value=np.nan), name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    is_boolean = pd.api.types.is_bool_dtype(values.dtype)
    if not is_boolean and not pd.api.types.is_datetime64_any_dtype(values.dtype):
        return _text(values)
    missing = int(values.isna().sum())
    if missing == len(values):
        return Profile("empty", missing, 0, "all values are missing")
    return _constant_or(values, "boolean" if is_boolean else "datetime", missing)


def distinct(values: pd.Series[Any]) -> int:
    """Number of distinct values without missing ones; in long columns among SAMPLE_ROWS evenly spaced rows."""
    return int(values.iloc[_spaced(len(values))].nunique())


def value_range(numbers: npt.NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest of [n] numbers, n > 0, as they are stored; NaN is passed over, and the answer if all are."""
    return np.fmin.reduce(numbers), np.fmax.reduce(numbers)


def named_like_identifier(name: str) -> bool:
    """Whether a name says that the column names rows."""
    return bool(_ID_NAME.search(name) or _ID_CAMEL.search(name))


def _spaced(rows: int) -> slice | npt.NDArray[np.int64]:
    if rows <= EXACT_ROWS:
        return slice(None)
    return np.linspace(0, rows - 1, SAMPLE_ROWS).astype(np.int64)


def _constant_or(values: pd.Series[Any], kind: ColumnKind, missing: int) -> Profile:
    low, high = values.min(), values.max()
    unique = 1 if low == high else distinct(values)
    if unique == 1 and missing == 0:
        return Profile("constant", missing, 1, f"every value is {low}")
    return Profile(kind, missing, unique)


def _numeric(numbers: npt.NDArray[Any], name: str) -> Profile:
    low, high = value_range(numbers)
    missing = int(np.isnan(numbers).sum()) if numbers.dtype.kind == "f" else 0
    if missing == len(numbers):
        return Profile("empty", missing, 0, "all values are missing")
    if low == high:
        return Profile("numeric", missing, 1) if missing else Profile("constant", 0, 1, f"every value is {low}")
    sample = pd.unique(numbers[_spaced(len(numbers))])
    unique = len(sample) - int(missing > 0 and bool(np.isnan(sample).any()))
    if named_like_identifier(name) and _different_whole(numbers[~np.isnan(numbers)] if missing else numbers):
        return Profile("identifier", missing, unique, "a different whole number in every row, named as identifiers are")
    return Profile("numeric", missing, unique)


def _different_whole(numbers: npt.NDArray[Any]) -> bool:
    if len(numbers) < 10 or (numbers.dtype.kind == "f" and not np.array_equal(numbers, np.floor(numbers))):
        return False
    return len(pd.unique(numbers)) == len(numbers)


def _text(values: pd.Series[Any]) -> Profile:
    # one pass over the objects tells their number, what they are, and how many are missing
    counts = values.value_counts(sort=False)
    present = int(counts.sum())
    missing = len(values) - present
    if not present:
        return Profile("empty", missing, 0, "all values are missing")
    uniques = counts.index.to_numpy()
    if isinstance(uniques[0], bool | np.bool_):
        if missing:
            return Profile("boolean", missing, len(uniques))
        return _constant_or(values.astype(bool), "boolean", missing)
    if len(uniques) == 1 and missing == 0:
        return Profile("constant", missing, 1, f"every value is {str(uniques[0])[:40]!r}")
    kind, reason = _kind_of_text(uniques, present)
    return Profile(kind, missing, len(uniques), reason, counts)


def _kind_of_text(uniques: npt.NDArray[Any], present: int) -> tuple[ColumnKind, str]:
    """What the different texts of so many rows are, and why."""
    share = len(uniques) / present
    if share >= 0.5 and len(uniques) >= 10:
        sample = [str(value) for value in uniques[:1000]]
        words = float(np.mean([len(value.split()) for value in sample]))
        chars = float(np.mean([len(value) for value in sample]))
        if words >= _TEXT_WORDS or chars >= _TEXT_CHARS:
            return "text", f"prose: {words:.0f} words a value, {share:.0%} of them distinct"
        if share >= _UNIQUE_SHARE:
            return "identifier", f"{share:.0%} of the values are distinct"
    return "categorical", ""
