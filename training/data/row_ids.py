"""Names of rows: a column of the table, or the number of the row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.labels import class_label
from training.data.row_hashes import row_hashes
from training.errors import DataError, SpecError, nearest

FIELD = "data.id_column"
RowIds = npt.NDArray[np.object_]


def row_ids(frame: pd.DataFrame, id_column: str | None, *, field: str = FIELD) -> RowIds:
    """The name of each row as text, [n]; all different.

    Args:
        frame: [n, columns].
        id_column: the column that names rows; None numbers them from 0.
        field: dotted path of `id_column` in the spec, for messages.

    Raises:
        SpecError: no such column.
        DataError: a row without a name, or a name that comes twice.
    """
    if id_column is None:
        return np.array([str(number) for number in range(len(frame))], dtype=object)
    if id_column not in frame.columns:
        raise SpecError.at(field, id_column, f"no such column{nearest(id_column, frame.columns)}")
    values = frame[id_column]
    missing = int(values.isna().sum())
    if missing:
        row = int(np.argmax(values.isna().to_numpy()))
        reason = f"{missing:,} rows have no id in {id_column!r}, the first is row {row}"
        raise DataError.at(field, id_column, reason, hint="Give every row an id, or leave id_column out.")
    twice = values.duplicated()
    if twice.any():
        value = class_label(values[twice].iloc[0])
        reason = f"{int(twice.sum()):,} ids of {id_column!r} are repeated, such as {value}"
        raise DataError.at(field, value, reason, hint="Give every row an id of its own, or leave id_column out.")
    return np.array([class_label(value) for value in values], dtype=object)


def row_marks(frame: pd.DataFrame, *, without: Sequence[str | None] = ()) -> npt.NDArray[np.uint64]:
    """A number for the content of each row, [n], over all columns but those `without`; equal rows, equal numbers."""
    return row_hashes(frame, sorted(str(name) for name in frame.columns if name not in without))


def mark_text(mark: np.uint64) -> str:
    """The number as it is stored: JSON readers do not keep 64 bits."""
    return f"{int(mark):016x}"


def positions(ids: RowIds) -> dict[Any, int]:
    """Where each id is."""
    return {name: number for number, name in enumerate(ids.tolist())}
