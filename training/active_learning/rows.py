"""The rows of a pool, as they are chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.active_learning.spec import PoolData
from training.data import DataAccess, load, require_columns
from training.data.row_ids import RowIds, positions, row_ids, row_marks
from training.errors import DataError

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PoolRows:
    """All rows of the source, without the target.

    `frame`: [n, columns]. `ids`: [n] texts. `marks`: [n], equal for equal rows. `groups`: [n] codes, or None.
    `costs`: [n], positive.
    """

    frame: pd.DataFrame
    ids: RowIds
    marks: npt.NDArray[np.uint64]
    groups: Indices | None
    costs: Floats | None
    sha256: str

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def places(self) -> dict[Any, int]:
        """Where each id is."""
        return positions(self.ids)


def read_pool(data: PoolData, access: DataAccess) -> PoolRows:
    """Reads and checks the source of a pool.

    Raises:
        SpecError: a column that is not there.
        DataError: no rows, ids that are missing or repeated, costs that are none.
    """
    dataset = load(data.source, access)
    frame = dataset.frame.drop(columns=[data.target], errors="ignore")
    if not len(frame):
        raise DataError.at("data.source", data.source.type, "the pool is empty", hint="Name a source with rows.")
    for field, names in (("exclude", data.exclude), ("include", data.include or []), ("show", data.show)):
        require_columns(frame, [name for name in names if name != data.target], f"data.{field}")
    ids = row_ids(frame, data.id_column)
    marks = row_marks(dataset.frame, without=[data.target])
    return PoolRows(frame, ids, marks, _groups(frame, data), _costs(frame, data), dataset.sha256)


def _groups(frame: pd.DataFrame, data: PoolData) -> Indices | None:
    if data.group_column is None:
        return None
    require_columns(frame, [data.group_column], "data.group_column")
    codes, uniques = pd.factorize(frame[data.group_column])
    # rows without a group are each a group of its own
    alone = codes < 0
    codes[alone] = len(uniques) + np.arange(int(alone.sum()))
    return codes.astype(np.int64)


def _costs(frame: pd.DataFrame, data: PoolData) -> Floats | None:
    if data.cost_column is None:
        return None
    require_columns(frame, [data.cost_column], "data.cost_column")
    values = pd.to_numeric(frame[data.cost_column], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        row = int(np.argmax(bad))
        found = frame[data.cost_column].iloc[row]
        reason = f"row {row} of {data.cost_column!r} holds {found!r}, and a cost is a positive number"
        raise DataError.at("data.cost_column", data.cost_column, reason, hint="Correct it, or use cost_per_row.")
    return values


def cells(frame: pd.DataFrame, row: int, columns: Sequence[str]) -> dict[str, Any]:
    """One row as JSON types, for a labeller to see."""
    shown: dict[str, Any] = {}
    for name in columns:
        value = frame[name].iloc[row]
        if isinstance(value, np.generic):
            value = value.item()
        if pd.isna(value):
            value = None
        shown[str(name)] = value if value is None or isinstance(value, bool | int | float | str) else str(value)
    return shown
