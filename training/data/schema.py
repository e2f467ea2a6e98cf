"""What the columns are, what is predicted, and whether a model can be trained on them at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.columns import Profile, profile, value_range
from training.data.mixed import MANY_NUMBERS, check_not_mixed
from training.data.roles import TARGET_FIELD, column_roles
from training.data.table import Column, ColumnKind, ColumnRole, TableSchema
from training.data.target import target_facts
from training.errors import DataError
from training.spec import DataSpec, SplitSpec

MIN_ROWS = 10
SOURCE_FIELD = "data.source"
_SHOWN_COLUMNS = 8
_TEXT_KINDS = frozenset({"categorical", "identifier", "text"})
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def labelled_rows(frame: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    """The rows that have a target, in their order; the frame itself where all have one.

    Raises:
        SpecError: no such target column.
        DataError: no row has a target.
    """
    column_roles(frame, data, SplitSpec())
    missing = frame[data.target].isna()
    if missing.all():
        hint = "Name another target, or rows that have one."
        raise DataError.at(TARGET_FIELD, data.target, f"all values of column {data.target!r} are missing", hint=hint)
    if not missing.any():
        return frame
    rows = frame.take(np.flatnonzero(~missing.to_numpy()))
    rows.index = pd.RangeIndex(len(rows))
    return rows


def infer_schema(frame: pd.DataFrame, spec: DataSpec, split: SplitSpec) -> TableSchema:
    """Finds out what the columns are and what they are used for. Rows without a target are not looked at.

    Features come out as numeric, categorical, boolean or datetime. Dropped, with a warning: empty and constant columns,
    and, unless data.include names them, identifiers and prose.

    Raises:
        SpecError: a column that is not there or has two roles; a task or positive class that does not fit.
        DataError: too few rows, a target that cannot be learnt, infinite or mixed values, weights that are none, no
            feature left.
    """
    roles = column_roles(frame, spec, split)
    rows = labelled_rows(frame, spec)
    unlabelled = len(frame) - len(rows)
    if len(rows) < MIN_ROWS:
        hint = "Add rows."
        raise DataError.at(
            SOURCE_FIELD, len(rows), f"{len(rows)} rows with a target; at least {MIN_ROWS} are needed", hint=hint
        )
    target = target_facts(rows[spec.target], spec)
    if spec.weight_column is not None:
        check_weights(rows[spec.weight_column], "data.weight_column")

    columns = [_column(rows[name], name, role, spec) for name, role in roles.items()]
    by_name = {column.name: column for column in columns}
    ordered = tuple(by_name[name] for name in frame.columns)
    ordered = tuple(_with_reason(column, target.reason) if column.name == spec.target else column for column in ordered)
    if not any(column.role == "feature" for column in ordered):
        raise _no_feature(ordered)
    warnings = [f"{unlabelled:,} rows without a value in {spec.target!r} are left out"] if unlabelled else []
    warnings += _dropped_warnings(ordered)
    return TableSchema(ordered, spec.target, target.task, target.classes, tuple(warnings))


def check_weights(values: pd.Series[Any], field: str, *, part: bool = False) -> npt.NDArray[np.float64]:
    """The weights as [n] float64; in a part of the rows they may all be zero.

    Raises:
        DataError: not numbers, missing, infinite or negative; or all are zero.
    """
    name = values.name
    hint = "Give every row a weight of zero or more."
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise DataError.at(field, name, f"weights in {name!r} are no numbers", hint=hint)
    weights = values.to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        reason = (
            f"{int(wrong.sum()):,} weights in {name!r} are missing, infinite or negative; the first in row {row + 1}"
        )
        raise DataError.at(field, float(weights[row]), reason, hint=hint)
    if len(weights) and not part and not weights.any():
        raise DataError.at(field, 0, f"all weights in {name!r} are zero", hint=hint)
    return weights


def _column(values: pd.Series[Any], name: str, role: ColumnRole, spec: DataSpec) -> Column:
    found = profile(values, name)
    if role != "feature":
        return Column(name, found.kind, role, found.missing, found.unique)
    if found.unique > MANY_NUMBERS and found.kind in _TEXT_KINDS and not pd.api.types.is_numeric_dtype(values.dtype):
        check_not_mixed(values, name, SOURCE_FIELD, found.counts)
    if pd.api.types.is_float_dtype(values.dtype):
        _check_finite(values, name)
    if found.kind in {"empty", "constant"}:
        return Column(name, found.kind, "dropped", found.missing, found.unique, found.reason)
    if found.kind in {"identifier", "text"}:
        return _doubtful(
            name, found, numeric=pd.api.types.is_numeric_dtype(values.dtype), wanted=name in (spec.include or ())
        )
    return Column(name, found.kind, role, found.missing, found.unique, found.reason)


def _doubtful(name: str, found: Profile, *, numeric: bool, wanted: bool) -> Column:
    if not wanted:
        return Column(name, found.kind, "dropped", found.missing, found.unique, found.reason)
    kind: ColumnKind = "numeric" if numeric else "categorical"
    return Column(name, kind, "feature", found.missing, found.unique, f"kept by data.include, but: {found.reason}")


def _check_finite(values: pd.Series[Any], name: str) -> None:
    low, high = value_range(values.to_numpy())
    if not (high > _FLOAT32_MAX or low < -_FLOAT32_MAX):
        return
    numbers = values.to_numpy(dtype=np.float64)
    infinite = int(np.isinf(numbers).sum())
    count, what = (
        (infinite, "infinite values")
        if infinite
        else (int((np.abs(numbers) > _FLOAT32_MAX).sum()), "values beyond ±3.4e38")
    )
    row = int(np.argmax(np.abs(np.nan_to_num(numbers, nan=0.0, posinf=np.inf, neginf=-np.inf)) > _FLOAT32_MAX))
    reason = f"column {name!r} has {count:,} {what}, the first in row {row + 1}"
    hint = "Leave them empty if they are missing, or cut them to a largest value."
    raise DataError.at(SOURCE_FIELD, str(numbers[row]), reason, hint=hint)


def _with_reason(column: Column, reason: str) -> Column:
    return Column(column.name, column.kind, column.role, column.missing, column.unique, reason)


def _dropped_warnings(columns: tuple[Column, ...]) -> list[str]:
    warnings = []
    for kind in ("empty", "constant", "identifier", "text"):
        dropped = [column for column in columns if column.role == "dropped" and column.kind == kind]
        if dropped:
            keep = "; data.include keeps them" if kind in {"identifier", "text"} else ""
            warnings.append(f"not used as features ({kind}): {_listed(dropped)}{keep}")
    warnings += [f"{column.name}: {column.reason}" for column in columns if column.reason.startswith("kept by")]
    return warnings


def _listed(columns: list[Column]) -> str:
    shown = [f"{column.name} ({column.reason})" for column in columns[:_SHOWN_COLUMNS]]
    more = f" and {len(columns) - _SHOWN_COLUMNS:,} more" if len(columns) > _SHOWN_COLUMNS else ""
    return ", ".join(shown) + more


def _no_feature(columns: tuple[Column, ...]) -> DataError:
    dropped = [column for column in columns if column.role == "dropped"]
    reason = f"no feature is left; dropped: {_listed(dropped)}" if dropped else "no feature is left"
    hint = "Add columns that tell something about the target; data.include keeps identifiers and text."
    return DataError.at(SOURCE_FIELD, None, reason, hint=hint)
