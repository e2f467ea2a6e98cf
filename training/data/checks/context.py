"""What every check is given: the table, the split, and a sample of both that costs little to look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import Split, TableSchema
from training.data.target import encode_target
from training.spec import DataSpec
from training.spec.validation import ValidationSpec

SAMPLE_ROWS = 20_000
"""Train rows, and test rows, that the costly checks look at; evenly spaced, so that the same data give the same."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CheckContext:
    """`hashes`: [rows of frame] of features and target, see `row_hashes`."""

    frame: pd.DataFrame
    schema: TableSchema
    split: Split
    hashes: npt.NDArray[np.uint64]
    data: DataSpec
    validation: ValidationSpec

    @cached_property
    def train(self) -> npt.NDArray[np.int64]:
        """Row numbers of sampled train rows."""
        return _spaced(self.split.train)

    @cached_property
    def test(self) -> npt.NDArray[np.int64]:
        """Row numbers of sampled test rows."""
        return _spaced(self.split.test)

    @cached_property
    def target(self) -> Numbers:
        """[sampled train rows] class codes or values."""
        encoded = encode_target(self.frame[self.schema.target].iloc[self.train], self.schema.task, self.schema.classes)
        return encoded.astype(np.float64)

    def feature(self, name: str, rows: npt.NDArray[np.int64]) -> Numbers:
        """[rows] a column as numbers: categories and text as codes, times as microseconds, missing as NaN."""
        codes = self._codes.get(name)
        if codes is None:
            codes = self._codes[name] = as_numbers(self.frame[name].iloc[self._sampled])
        return codes[np.searchsorted(self._sampled, rows)]

    @cached_property
    def _sampled(self) -> npt.NDArray[np.int64]:
        return np.union1d(self.train, self.test)

    @cached_property
    def _codes(self) -> dict[str, Numbers]:
        return {}


def as_numbers(values: pd.Series[Any]) -> Numbers:
    """[n] a column as numbers; missing is NaN."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufb":
        return values.to_numpy(dtype=np.float64)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        numbers = values.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(values.isna().to_numpy(), np.nan, numbers)
    codes = pd.factorize(values)[0].astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _spaced(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if len(rows) <= SAMPLE_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SAMPLE_ROWS).astype(np.int64)]
