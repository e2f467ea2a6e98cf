"""From a table to the rows that a model is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.roles import require_columns
from training.data.schema import check_weights
from training.data.table import Rows, TableSchema
from training.data.target import encode_target
from training.errors import DataError
from training.spec import DataSpec


def make_rows(frame: pd.DataFrame, schema: TableSchema, data: DataSpec, indices: npt.NDArray[np.int64] | None) -> Rows:
    """The features, the encoded target and the weights of some rows; they may share memory with `frame`.

    Args:
        frame: the table that `schema` was inferred from.
        schema: says which columns are features.
        data: says which column holds weights.
        indices: row numbers; None for all rows, which must then all have a target.

    Raises:
        DataError: a target that is missing or not one of the classes.
    """
    names = [column.name for column in schema.features]
    target = _taken(frame, indices, [schema.target])[schema.target]
    weight = None
    if data.weight_column is not None:
        weight = check_weights(_taken(frame, indices, [data.weight_column])[data.weight_column], "data.weight_column")
    return Rows(_taken(frame, indices, names), encode_target(target, schema.task, schema.classes), weight)


def evaluation_rows(
    frame: pd.DataFrame, *, target: str, task: str, classes: tuple[str, ...], weight_column: str | None = None
) -> tuple[Rows, tuple[str, ...]]:
    """New rows to measure a trained model on, with all their columns, and warnings.

    Args:
        frame: [n, columns] raw rows with the target.
        target: the column that the model predicts.
        task: the model's task.
        classes: the model's labels, in its order.
        weight_column: weights of the rows, if any.

    Raises:
        SpecError: no such target or weight column.
        DataError: no row with a target, unknown labels, weights that are none.
    """
    field = "data.source"
    require_columns(frame, [target], field)
    require_columns(frame, [weight_column] if weight_column else [], field)
    missing = frame[target].isna().to_numpy()
    if missing.all():
        hint = "Give the rows that are to be measured their true values."
        raise DataError.at(field, target, f"all values of the target {target!r} are missing", hint=hint)
    warnings = []
    if missing.any():
        warnings.append(f"{int(missing.sum()):,} rows without a value in {target!r} are left out")
        frame = _taken(frame, np.flatnonzero(~missing))
    encoded = encode_target(frame[target], task, classes, field=field)
    weight = None if weight_column is None else check_weights(frame[weight_column], field)
    if task != "regression":
        absent = [name for code, name in enumerate(classes) if not (encoded == code).any()]
        if absent:
            warnings.append(f"no row of class {', '.join(absent[:10])}; metrics that need every class have no value")
    return Rows(frame, encoded, weight), tuple(warnings)


def _taken(
    frame: pd.DataFrame, indices: npt.NDArray[np.int64] | None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Some rows and columns, numbered from 0; rows that lie side by side share their memory with `frame`.

    Column by column: to select columns of a frame first would copy all their rows, which doubles the peak.
    """
    names = list(frame.columns if columns is None else columns)
    chosen: slice | npt.NDArray[np.int64] = slice(None)
    if indices is not None:
        side_by_side = len(indices) > 0 and bool((np.diff(indices) == 1).all())
        chosen = slice(int(indices[0]), int(indices[-1]) + 1) if side_by_side else indices
    rows = len(frame) if indices is None else len(indices)
    return pd.DataFrame({name: frame[name].array[chosen] for name in names}, index=pd.RangeIndex(rows), copy=False)
