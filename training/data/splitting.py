"""Which rows a model learns from, which steer it, and which measure it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.split_strategies import Parts, Sizes, group_parts, random_parts, stratified_parts, time_parts
from training.data.table import Split, TableSchema
from training.data.target import encode_target
from training.errors import DataError, SpecError, nearest
from training.spec import DataSpec, SplitSpec, SplitStrategy

Positions = npt.NDArray[np.int64]

_PARTS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test", "holdout": "test",
}  # fmt: skip
"""What a predefined split may call its parts; upper and lower case are the same."""


@dataclass(frozen=True)
class _Labelled:
    """The rows that have a target; `codes` are their classes, None for regression."""

    frame: pd.DataFrame
    rows: Positions
    codes: Positions | None
    classes: tuple[str, ...]

    def column(self, name: str) -> pd.Series:
        """Values of a column in these rows."""
        return self.frame[name].iloc[self.rows]


def split_rows(frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec) -> Split:
    """Divides the rows that have a target; the same frame and spec give the same split.

    - random: by chance.
    - stratified: by chance within each class, so that every part has every class. A class of fewer than three rows is
      an error, or, if the strategy was `auto`, goes to the train rows.
    - group: whole groups, by chance; of 32 tries the one nearest to the wished sizes and class shares. A row without a
      group is a group of its own.
    - time: the latest rows are for testing, those before them for validation; rows of one moment stay together. Rows
      in the `gap` before each of the two are left out. With a group column too, earlier rows of a group that is also
      in a later part are left out.
    - predefined: as split.column says; validation rows are taken from the train rows where it names none.

    Returns:
        Row numbers of `frame`.

    Raises:
        SpecError: the strategy needs a column that the spec does not name, or would tear groups apart.
        DataError: too few rows, classes, groups or moments, or values that the strategy cannot use.
    """
    strategy, why = _strategy(schema, data, spec)
    rows = np.flatnonzero(frame[schema.target].notna().to_numpy()).astype(np.int64)
    codes = None
    if schema.task != "regression":
        codes = np.asarray(encode_target(frame[schema.target].iloc[rows], schema.task, schema.classes), dtype=np.int64)
    parts = _parts(strategy, _Labelled(frame, rows, codes, schema.classes), data, spec)
    sizes = f"train {len(parts.train)}, validation {len(parts.validation)}, test {len(parts.test)}"
    if min(len(parts.train), len(parts.validation), len(parts.test)) == 0:
        hint = "Give more rows, or other values of split.test_size and split.validation_size."
        raise DataError.at("split", strategy, f"{len(rows)} rows do not fill three parts ({sizes})", hint=hint)
    reason = f"{why}; {parts.note}" if parts.note else why
    train, validation, test = (rows[np.sort(part)] for part in (parts.train, parts.validation, parts.test))
    return Split(strategy, reason, train, validation, test)


def _strategy(schema: TableSchema, data: DataSpec, spec: SplitSpec) -> tuple[SplitStrategy, str]:
    needs = {
        "time": ("data.time_column", data.time_column),
        "group": ("data.group_column", data.group_column),
        "predefined": ("split.column", spec.column),
    }
    if spec.strategy == "auto":
        return _automatic(schema, data, spec)
    if spec.strategy in needs and needs[spec.strategy][1] is None:
        message = f"split.strategy {spec.strategy} needs the name of a column here"
        raise SpecError.at(needs[spec.strategy][0], None, message, hint="Name it, or use another split.strategy.")
    if spec.strategy == "stratified" and schema.task == "regression":
        hint = "Use split.strategy random."
        raise SpecError.at("split.strategy", "stratified", "a regression has no classes to stratify by", hint=hint)
    if spec.strategy in {"random", "stratified"} and data.group_column is not None:
        hint = "Use split.strategy group, or leave data.group_column out."
        raise SpecError.at("split.strategy", spec.strategy, "would put rows of one group on two sides", hint=hint)
    return spec.strategy, "declared"


def _automatic(schema: TableSchema, data: DataSpec, spec: SplitSpec) -> tuple[SplitStrategy, str]:
    if spec.column is not None:
        return "predefined", f"split.column is {spec.column}"
    if data.time_column is not None:
        return "time", f"data.time_column is {data.time_column}"
    if data.group_column is not None:
        return "group", f"data.group_column is {data.group_column}"
    if schema.task == "regression":
        return "random", "no time, no groups, no classes"
    return "stratified", "no time, no groups, and classes to keep in proportion"


def _parts(strategy: SplitStrategy, labelled: _Labelled, data: DataSpec, spec: SplitSpec) -> Parts:
    sizes = Sizes(spec.test_size, spec.validation_size)
    groups = None if data.group_column is None else group_codes(labelled.column(data.group_column))
    if strategy == "time" and data.time_column is not None:
        values = labelled.column(data.time_column)
        return time_parts(time_values(values), groups, sizes, gap_of(spec, values))
    if strategy == "group" and groups is not None:
        return group_parts(groups, labelled.codes, sizes, spec.seed)
    if strategy == "predefined" and spec.column is not None:
        return _predefined(labelled, groups, spec)
    return _by_chance(labelled.codes, len(labelled.rows), labelled.classes, spec, strategy)


def gap_of(spec: SplitSpec, values: pd.Series) -> float:
    """The gap in the unit of `time_values`: the spec gives seconds for moments, and the column's own for numbers."""
    return spec.gap * 1e6 if pd.api.types.is_datetime64_any_dtype(values.dtype) else spec.gap


def _by_chance(
    codes: Positions | None, rows: int, classes: tuple[str, ...], spec: SplitSpec, strategy: SplitStrategy
) -> Parts:
    sizes = Sizes(spec.test_size, spec.validation_size)
    if strategy == "random" or codes is None:
        return random_parts(rows, sizes, spec.seed)
    return stratified_parts(codes, sizes, spec.seed, classes, strict=spec.strategy == "stratified")


def group_codes(values: pd.Series) -> Positions:
    """[n] codes from 0; a row without a group is a group of its own."""
    codes = pd.factorize(values)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(int(alone.sum()))
    return codes


def time_values(values: pd.Series) -> npt.NDArray[np.float64] | Positions:
    """[n] microseconds since 1970, or the numbers that the column holds.

    Raises:
        DataError: a missing value, or what is no time.
    """
    field, name = "data.time_column", values.name
    missing = int(values.isna().sum())
    if missing:
        hint = "Fill them in, or leave these rows out."
        raise DataError.at(field, name, f"{missing:,} rows have no time in {name!r}", hint=hint)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.to_numpy(dtype="datetime64[us]").astype(np.int64)
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        example = values.iloc[0]
        hint = "Write times in ISO 8601, such as 2024-05-31T12:00:00, or as numbers."
        raise DataError.at(field, example, f"column {name!r} holds no times, but values such as {example!r}", hint=hint)
    numbers: Positions = values.to_numpy()
    return numbers


def _predefined(labelled: _Labelled, groups: Positions | None, spec: SplitSpec) -> Parts:
    names = labelled.column(str(spec.column)).reset_index(drop=True)
    wanted = names.map(lambda value: _PARTS.get(str(value).strip().lower()), na_action="ignore")
    wrong = wanted.isna().to_numpy()
    if wrong.any():
        value = names[int(np.argmax(wrong))]
        shown = None if pd.isna(value) else value
        reason = (
            f"{int(wrong.sum()):,} rows of {spec.column!r} name no part, such as {shown!r}{nearest(str(shown), _PARTS)}"
        )
        raise DataError.at("split.column", shown, reason, hint="Write train, validation or test in every row.")
    train, validation, test = (np.flatnonzero((wanted == part).to_numpy()) for part in ("train", "validation", "test"))
    for part, rows in (("train", train), ("test", test)):
        if len(rows) == 0:
            hint = f"Mark some rows as {part}."
            raise DataError.at("split.column", spec.column, f"no row of {spec.column!r} is {part}", hint=hint)
    if len(validation):
        return Parts(train, validation, test)
    inner = _carved(labelled, groups, spec, train)
    return Parts(train[inner[0]], train[inner[1]], test, "validation rows are taken from the train rows")


def _carved(
    labelled: _Labelled, groups: Positions | None, spec: SplitSpec, train: Positions
) -> tuple[Positions, Positions]:
    """Train and validation positions among the given train rows: what an inner split would test on is validation."""
    sizes = Sizes(test=spec.validation_size, validation=spec.validation_size)
    codes = None if labelled.codes is None else labelled.codes[train]
    if groups is not None:
        parts = group_parts(pd.factorize(groups[train])[0].astype(np.int64), codes, sizes, spec.seed)
    elif codes is None:
        parts = random_parts(len(train), sizes, spec.seed)
    else:
        parts = stratified_parts(codes, sizes, spec.seed, labelled.classes, strict=False)
    return np.concatenate([parts.train, parts.validation]), parts.test
