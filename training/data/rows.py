"""From a table to the rows that a model is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from training.data.roles import require_columns
from training.data.schema import check_weights
from training.data.table import Rows, TableSchema
from training.data.target import encode_target
from training.errors import DataError, SpecError, nearest
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
    _require_target(frame, target, "data.source")
    if frame[target].isna().to_numpy().all():
        raise no_target_at_all(target)
    rows, missing = labelled_piece(frame, target=target, task=task, classes=classes, weight_column=weight_column)
    if rows.weight is not None:
        check_weights(rows.frame[weight_column], "data.source")
    return rows, evaluation_warnings(rows.target, missing, target, classes)


def labelled_piece(
    frame: pd.DataFrame, *, target: str, task: str, classes: tuple[str, ...], weight_column: str | None = None
) -> tuple[Rows, int]:
    """Some of the rows of an evaluation, and how many of them have no target; arguments as in `evaluation_rows`.

    Raises:
        SpecError: no such target or weight column.
        DataError: unknown labels, weights that are none.
    """
    field = "data.source"
    _require_target(frame, target, field)
    require_columns(frame, [weight_column] if weight_column else [], field)
    missing = frame[target].isna().to_numpy()
    if missing.any():
        frame = _taken(frame, np.flatnonzero(~missing))
    if not len(frame):
        return Rows(frame, np.zeros(0, np.int64), None), len(missing)
    encoded = encode_target(frame[target], task, classes, field=field)
    weight = None if weight_column is None else check_weights(frame[weight_column], field, part=True)
    return Rows(frame, encoded, weight), int(missing.sum())


def _require_target(frame: pd.DataFrame, target: str, field: str) -> None:
    if target not in frame.columns:
        message = f"no column {target!r}, the target of the model{nearest(target, frame.columns)}"
        raise SpecError.at(field, target, message, hint="Give the rows that are to be measured their true values.")


def evaluation_warnings(
    encoded: npt.NDArray[np.generic], missing: int, target: str, classes: tuple[str, ...]
) -> tuple[str, ...]:
    """What is odd about the rows of an evaluation.

    Args:
        encoded: [n] target of the rows that have one.
        missing: how many have none.
        target: its column.
        classes: the model's labels; none for regression.
    """
    warnings = []
    if missing:
        warnings.append(f"{missing:,} rows without a value in {target!r} are left out")
    if classes:
        counts = np.bincount(encoded.astype(np.int64), minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if not count]
        if absent:
            warnings.append(f"no row of class {', '.join(absent[:10])}; metrics that need every class have no value")
    return tuple(warnings)


def no_target_at_all(target: str) -> DataError:
    """The error for rows that cannot be measured."""
    hint = "Give the rows that are to be measured their true values."
    return DataError.at("data.source", target, f"all values of the target {target!r} are missing", hint=hint)


def unified_frame(tables: list[Any]) -> pd.DataFrame:
    """The frame that canonical tables of one schema are together. Empties the list."""
    whole = pa.concat_tables(tables)
    tables.clear()
    frame: pd.DataFrame = whole.to_pandas(coerce_temporal_nanoseconds=False)
    return frame


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
