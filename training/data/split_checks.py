"""Whether a split lets a model be trained and measured honestly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.row_hashes import row_hashes
from training.data.table import Split, TableSchema
from training.data.target import encode_target
from training.errors import DataError

_SHOWN = 5


def split_warnings(
    frame: pd.DataFrame, schema: TableSchema, split: Split, hashes: npt.NDArray[np.uint64] | None = None
) -> tuple[str, ...]:
    """What people should know of a split that `check_train_rows` lets pass.

    Args:
        frame: the table that was split.
        schema: of that table.
        split: what `split_rows` gave.
        hashes: [rows of frame] `row_hashes` of features and target, where the caller has them; else they are computed.
    """
    warnings = list(_class_warnings(frame, schema, split) if schema.classes else _range_warnings(frame, schema, split))
    if hashes is None:
        hashes = row_hashes(frame, [*(column.name for column in schema.features), schema.target])
    seen = int(seen_rows(split, hashes).sum())
    if seen:
        share = seen / len(split.test)
        warnings.append(
            f"{seen:,} of {len(split.test):,} test rows ({share:.1%}) are exact duplicates of train or validation "
            "rows; the metrics may flatter the model"
        )
    return tuple(warnings)


def check_train_rows(frame: pd.DataFrame, schema: TableSchema, split: Split) -> None:
    """Refuses what no model can be trained on.

    Raises:
        DataError: the train rows lack a class, or the target has one value there.
    """
    if schema.classes:
        absent = _absent(frame, schema, split.train)
        if absent:
            reason = f"the train rows have no row of class {_listed(absent)} (split: {split.strategy}, {split.reason})"
            hint = "Use another split.strategy or split.seed, or add rows of that class."
            raise DataError.at("split", absent[0], reason, hint=hint)
    elif _is_constant(frame[schema.target].iloc[split.train]):
        reason = (
            f"the target {schema.target!r} has one value in all train rows (split: {split.strategy}, {split.reason})"
        )
        raise DataError.at("split", schema.target, reason, hint="Use another split.strategy or split.seed.")


def seen_rows(split: Split, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """[test rows] which of them equal a train or validation row."""
    rest = hashes[np.concatenate([split.train, split.validation])]
    # a table of hashes: sorting, as numpy does, takes ten times as long
    found: npt.NDArray[np.bool_] = pd.Series(hashes[split.test]).isin(rest).to_numpy()
    return found


def _class_warnings(frame: pd.DataFrame, schema: TableSchema, split: Split) -> list[str]:
    warnings = []
    for part, rows in (("validation", split.validation), ("test", split.test)):
        absent = _absent(frame, schema, rows)
        if absent:
            listed = _listed(absent)
            warnings.append(
                f"the {part} rows have no row of class {listed}; what is measured there says nothing about it"
            )
    return warnings


def _absent(frame: pd.DataFrame, schema: TableSchema, rows: npt.NDArray[np.int64]) -> list[str]:
    codes = encode_target(frame[schema.target].iloc[rows], schema.task, schema.classes)
    present = set(np.unique(codes).tolist())
    return [name for code, name in enumerate(schema.classes) if code not in present]


def _listed(classes: list[str]) -> str:
    return ", ".join(classes[:_SHOWN]) + (", …" if len(classes) > _SHOWN else "")


def _range_warnings(frame: pd.DataFrame, schema: TableSchema, split: Split) -> list[str]:
    if _is_constant(frame[schema.target].iloc[split.test]):
        return ["the target has one value in all test rows; R² has no value there"]
    return []


def _is_constant(values: pd.Series[float]) -> bool:
    return bool(values.min() == values.max())
