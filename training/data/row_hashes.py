"""A hash of each row, to find the same row in two tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_PRIME = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, odd: spreads the bits of small hashes


def row_hashes(frame: pd.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.uint64]:
    """One uint64 for each row, of the values in `columns` in that order; equal rows have equal hashes.

    Numbers and booleans hash as float64, so that a column that is whole in one table and has a missing value in the
    other compares well. Not cryptographic; two different rows collide once in some 10^19 pairs.
    """
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        total *= _PRIME
        total += pd.util.hash_array(_plain(frame[name]))
    return total


def _plain(values: pd.Series[Any]) -> npt.NDArray[Any]:
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.to_numpy(dtype="datetime64[us]").astype(np.int64)
    objects = values.astype(object).to_numpy()
    first = next((value for value in objects if not pd.isna(value)), None)
    if isinstance(first, bool):
        return np.array([np.nan if pd.isna(value) else float(value) for value in objects])
    return objects
