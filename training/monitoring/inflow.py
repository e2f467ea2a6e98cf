"""Predictions and outcomes as callers send them, checked row by row and made into the stored columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from training.errors import DataError, nearest, shown
from training.monitoring.bodies import RawRows, read_rows
from training.monitoring.reading import stored_column
from training.monitoring.schema import FEATURE, MonitoredSchema
from training.mts_scoring.columns import InputError, is_missing
from training.mts_scoring.reading import label
from training.mts_scoring.times import read_times

ID, TIME, VERSION, WRONG, ACTUAL = "id", "time", "version", "wrong", "actual"
PREDICTION_FIELDS = (
    pa.field(ID, pa.string()), pa.field(TIME, pa.timestamp("us")), pa.field(VERSION, pa.string()),
    pa.field(WRONG, pa.string()),
)  # fmt: skip
"""Of predictions, beside features and scores."""
OUTCOME_FIELDS = (pa.field(ID, pa.string()), pa.field(TIME, pa.timestamp("us")), pa.field(ACTUAL, pa.float64()))
CLOCK_SKEW = timedelta(minutes=5)
"""How far the clock of a caller may be ahead of ours."""
MAX_ID_CHARS = 200
SUM_TOLERANCE = 0.01
"""Of the probabilities of a row, which a caller may have rounded."""
RESERVED = (ID, TIME, VERSION, "scores", "score", "features")


@dataclass(frozen=True)
class Batch:
    """Checked rows. `table`: pyarrow.Table of the stored columns; `repeated`: rows that the batch itself repeats;
    `ignored`: columns that the model does not read."""

    table: Any
    repeated: int = 0
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Receiver:
    """Reads batches for one monitor.

    Args:
        schema: of the watched version.
        version: of a row that names none.
        is_version: whether the registry has a version.
        now: the present.
    """

    schema: MonitoredSchema
    version: str
    is_version: Callable[[str], bool]
    now: datetime

    def predictions(self, body: bytes, content_type: str) -> Batch:
        """Rows with id, time, features, scores and, if they like, version.

        Raises:
            BodyError, BatchTooLargeError: the body cannot be read.
            DataError: names the row, the field and the value.
        """
        rows = read_rows(body, content_type, ("features", "scores"))
        features, wrong, ignored = self._features(rows)
        columns = {
            ID: _ids(rows),
            TIME: self._times(rows),
            VERSION: self._versions(rows),
            WRONG: wrong,
            **features,
            **self._scores(rows),
        }
        table = pa.table(columns, schema=pa.schema([*PREDICTION_FIELDS, *self.schema.arrow_fields()]))
        return _without_repeats(table, ignored)

    def outcomes(self, body: bytes, content_type: str) -> Batch:
        """Rows with id, actual and, if they like, time (else: today).

        Raises:
            BodyError, BatchTooLargeError: the body cannot be read.
            DataError: names the row, the field and the value.
        """
        rows = read_rows(body, content_type, ())
        if rows.get(TIME) is None:
            # the day and not the moment: the same batch, sent again, is then the same file
            day = self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            times = pa.array([day] * len(rows), type=pa.timestamp("us"))
        else:
            times = self._times(rows)
        table = pa.table({ID: _ids(rows), TIME: times, ACTUAL: self._actual(rows)})
        ignored = tuple(name for name in rows.columns if name not in {ID, TIME, ACTUAL})
        return _without_repeats(table, ignored, compared=(ID, ACTUAL))

    def _times(self, rows: RawRows) -> Any:
        values = _required(rows, TIME, "RFC 3339, such as 2026-01-31T12:00:00Z")
        listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
        for index, value in enumerate(listed):
            if is_missing(value) or isinstance(value, int | float):
                raise _row_error(index, TIME, value, "a time in RFC 3339 is needed, such as 2026-01-31T12:00:00Z")
        try:
            times = read_times(pd.Series(listed, dtype=object), TIME)
        except InputError as error:
            raise DataError.at(TIME, None, str(error)) from None
        latest = np.datetime64((self.now + CLOCK_SKEW).replace(tzinfo=None), "us")
        ahead = np.flatnonzero(times > latest)
        if len(ahead):
            index = int(ahead[0])
            message = f"lies in the future: it is {self.now:%Y-%m-%dT%H:%M:%SZ} here; set the clock of the sender"
            raise _row_error(index, TIME, listed[index], message)
        return pa.array(times, type=pa.timestamp("us"))

    def _versions(self, rows: RawRows) -> Any:
        values = rows.get(VERSION)
        if values is None:
            return pa.array([self.version] * len(rows))
        listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
        texts = [self.version if is_missing(value) else str(value) for value in listed]
        for version in dict.fromkeys(texts):
            if not self.is_version(version):
                index = texts.index(version)
                raise _row_error(index, VERSION, listed[index], "the registry has no such version of the model")
        return pa.array(texts)

    def _features(self, rows: RawRows) -> tuple[dict[str, Any], Any, tuple[str, ...]]:
        """The stored columns, the names of the values that could not be read by row, and what was ignored."""
        inside = {name.removeprefix("features."): name for name in rows.columns if name.startswith("features.")}
        given = inside or {name: name for name in rows.columns if name not in RESERVED and name[:7] != "scores."}
        wanted = [feature.name for feature in self.schema.features]
        others = [name for name in given if name not in wanted]
        beside = [name for name in rows.columns if inside and "." not in name and name not in RESERVED]
        missing = [name for name in wanted if name not in given]
        if missing:
            hint = "Send each feature of the model by its name; null where the value is missing."
            raise DataError.at(
                f"features.{missing[0]}", None, f"no row has this feature{nearest(missing[0], others)}", hint=hint
            )
        columns, marks = {}, np.full(len(rows), "", dtype=object)
        for feature in self.schema.features:
            values = rows.columns[given[feature.name]]
            column, wrong = stored_column(values, feature.kind, feature.name)
            columns[FEATURE + feature.name] = column
            marks[wrong] += f"{feature.name}\n"
        return columns, pa.array([mark or None for mark in marks], type=pa.string()), (*others, *beside)

    def _scores(self, rows: RawRows) -> dict[str, Any]:
        names = self.schema.score_columns
        if self.schema.task == "multiclass":
            given = [_required(rows, f"scores.{name}", "the probability of each class") for name in self.schema.classes]
        else:
            plain = next((rows.get(name) for name in ("scores", "score") if rows.get(name) is not None), None)
            if plain is None and self.schema.task == "binary":
                plain = rows.get(f"scores.{self.schema.classes[1]}")
            if plain is None:
                known = [name for name in rows.columns if name.startswith("score")]
                wanted = self.schema.classes[1] if self.schema.task == "binary" else "the predicted value"
                raise DataError.at("scores", known, f"the score of each row is needed: that of {wanted!r}")
            given = [plain]
        columns = [_finite_numbers(values, "scores") for values in given]
        if self.schema.task != "regression":
            for column in columns:
                outside = np.flatnonzero((column < 0) | (column > 1))
                if len(outside):
                    index = int(outside[0])
                    raise _row_error(index, "scores", float(column[index]), "a probability lies within 0 and 1")
            self._check_sums(rows)
        return {name: pa.array(column) for name, column in zip(names, columns, strict=True)}

    def _check_sums(self, rows: RawRows) -> None:
        """Where a row has the probability of every class."""
        given = [rows.get(f"scores.{name}") for name in self.schema.classes]
        if any(values is None for values in given):
            return
        sums = np.sum([_finite_numbers(values, "scores") for values in given if values is not None], axis=0)
        apart = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
        if len(apart):
            index = int(apart[0])
            raise _row_error(index, "scores", float(sums[index]), "the probabilities of the classes must sum to one")

    def _actual(self, rows: RawRows) -> Any:
        values = _required(rows, ACTUAL, "the true label or value")
        if self.schema.task == "regression":
            return pa.array(_finite_numbers(values, ACTUAL))
        codes = {name: float(code) for code, name in enumerate(self.schema.classes)}
        listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
        found = []
        for index, value in enumerate(listed):
            code = None if is_missing(value) else codes.get(label(value, ACTUAL))
            if code is None:
                raise _row_error(index, ACTUAL, value, f"no class of the model{nearest(str(value), codes)}")
            found.append(code)
        return pa.array(found, type=pa.float64())


def _row_error(index: int, field: str, value: Any, message: str) -> DataError:
    return DataError.at(f"rows[{index}].{field}", shown(value), message, hint="Nothing of the batch was kept.")


def _required(rows: RawRows, name: str, wanted: str) -> Any:
    values = rows.get(name)
    if values is None:
        raise DataError.at(name, None, f"required in each row: {wanted}{nearest(name, rows.columns)}")
    return values


def _ids(rows: RawRows) -> Any:
    values = _required(rows, ID, "what names the prediction, the same in its outcome")
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    for index, value in enumerate(listed):
        fits = isinstance(value, str | int) and not isinstance(value, bool) and 0 < len(str(value)) <= MAX_ID_CHARS
        if not fits:
            raise _row_error(
                index, ID, value, f"a text of 1 to {MAX_ID_CHARS} characters, or a whole number, is needed"
            )
    return pa.array([str(value) for value in listed])


def _finite_numbers(values: Sequence[Any], field: str) -> npt.NDArray[np.float64]:
    column, wrong = stored_column(values, "numeric", field)
    numbers = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero(wrong | ~np.isfinite(numbers))
    if len(bad):
        index = int(bad[0])
        value = values[index]
        value = value.as_py() if hasattr(value, "as_py") else value
        raise _row_error(index, field, value, "a finite number is needed")
    return numbers


def _without_repeats(table: Any, ignored: tuple[str, ...], compared: tuple[str, ...] = ()) -> Batch:
    """Rows that are there twice are kept once; the same id with other values is an error."""
    ids = pc.dictionary_encode(table[ID].combine_chunks()).indices.to_numpy()
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    if len(first) == len(ids):
        return Batch(table, 0, ignored)
    again = np.flatnonzero(first[inverse] != np.arange(len(ids)))
    names = list(compared) or table.column_names
    rows = table.select(names).take(pa.array(again)).to_pylist()
    earlier = table.select(names).take(pa.array(first[inverse][again])).to_pylist()
    for index, row, before in zip(again, rows, earlier, strict=True):
        if not _same(row, before):
            raise _row_error(int(index), ID, row[ID], "the same id stands in this batch twice with different values")
    return Batch(table.take(pa.array(np.sort(first))), len(again), ignored)


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(value == other[name] or (value != value and other[name] != other[name]) for name, value in row.items())  # noqa: PLR0124 - NaN
