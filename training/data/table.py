"""The tables that pass between the parts of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.result import FeatureStoreUse
from training.spec import SplitStrategy, Task

ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "text", "identifier", "constant", "empty"]
ColumnRole = Literal["feature", "target", "id", "weight", "time", "group", "split", "excluded", "dropped"]


@dataclass(frozen=True)
class Dataset:
    """Rows as they were read, before anything is decided about them.

    `frame` has unique text column names and a RangeIndex; numbers are numpy dtypes, text is object or categorical,
    missing is NaN/None/NaT. `sha256` is of the content, not of the file: the same rows in CSV or inline give the same.
    """

    frame: pd.DataFrame
    sha256: str
    uri: str
    """For people and for lineage; holds no secret."""
    snapshot: str = ""
    """Where these rows are kept; empty where they are not."""
    feature_store: FeatureStoreUse | None = None
    """Which features came from a feature store; None where none did."""
    sampled_from: int = 0
    """Number of all rows, where memory does not hold them and `frame` has evenly spaced ones; else 0."""
    whole_bytes: int = 0
    """About how large the frame of all of them would be."""


@dataclass(frozen=True)
class Column:
    """What was found out about a column and what it is used for."""

    name: str
    kind: ColumnKind
    role: ColumnRole
    missing: int
    unique: int
    reason: str = ""
    """Why it was dropped or taken for what it is; for people."""


@dataclass(frozen=True)
class TableSchema:
    """What the columns are, what is predicted, and what is odd about the data.

    `classes` are the labels of the target as text, in a fixed order; empty for regression. For a binary task
    classes[1] is the positive class.
    """

    columns: tuple[Column, ...]
    target: str
    task: Task
    classes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that a model is given, in the order of the data."""
        return tuple(column for column in self.columns if column.role == "feature")


@dataclass(frozen=True)
class Split:
    """Row numbers (int64, ascending) of the three parts, disjoint; `reason` says why this strategy."""

    strategy: SplitStrategy
    reason: str
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Rows ready for a model: features as raw as the caller will send them, target encoded.

    `frame`: [n, features]. `target`: [n], int64 class codes (positions in TableSchema.classes) or float64 values.
    `weight`: [n] float64, or None for equal weights.
    """

    frame: pd.DataFrame
    target: npt.NDArray[np.float64] | npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.frame)
