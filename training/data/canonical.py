"""One set of column types for all formats, so that the same rows give the same table wherever they come from.

int64      whole numbers without missing values
float64    other numbers, and whole numbers with missing values (missing is NaN); float32 stays float32
bool       with nulls where values are missing
timestamp  in microseconds without a zone; times with a zone are converted to UTC
string     text, and whole numbers that int64 or float64 would not hold exactly
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from training.errors import DataError

MAX_COLUMNS = 20_000
_EXACT = 2**53
_TIME = pa.timestamp("us")
_ISO_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
_ZONE = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


def canonical(table: Any, field: str, *, whole: bool = True) -> Any:
    """The pyarrow.Table with the types above, without metadata; columns without a name become "Unnamed: POSITION".

    Args:
        table: as it was read.
        field: where the spec names it, for messages.
        whole: False for a piece of a table; its text stays text, for other pieces may hold what is no time.

    Raises:
        DataError: too many columns, or a column whose values are no scalars; names the column.
    """
    if table.num_columns > MAX_COLUMNS:
        hint = "Drop columns, or write one row per measurement."
        raise DataError.at(field, table.num_columns, f"more than {MAX_COLUMNS:,} columns", hint=hint)
    names = [name.strip() or f"Unnamed: {position}" for position, name in enumerate(table.column_names)]
    twins = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twins:
        raise DataError.at(field, min(twins), f"more than one column named {min(twins)!r}", hint="Rename one of them.")
    columns = [
        column if not whole and _is_text(column.type) and column.null_count < len(column) else
        _column(column, name, field)
        for name, column in zip(names, table.columns, strict=True)
    ]  # fmt: skip
    return pa.table(columns, names=names)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_utf8(column: Any) -> bool:
    """Whether every text of a column is valid UTF-8, which readers other than that of CSV do not check."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _column(column: Any, name: str, field: str) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    for fits, convert in _CONVERSIONS:
        if fits(column.type):
            return convert(column, name, field)
    reason = f"column {name!r} holds {column.type}, which is no number, text, boolean or time"
    hint = "Spread it over columns of numbers or text, or leave it out of the file."
    raise DataError.at(field, name, reason, hint=hint)


def _as_it_is(column: Any, _name: str, _field: str) -> Any:
    return column


def _half(column: Any, _name: str, _field: str) -> Any:
    return column.cast(pa.float32())


def _whole(column: Any, _name: str, _field: str) -> Any:
    try:
        column = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.string())
    if column.null_count == 0:
        return column
    range_ = pc.min_max(column).as_py()
    if max(abs(range_["min"]), abs(range_["max"])) > _EXACT:
        return column.cast(pa.string())
    return column.cast(pa.float64())


def _decimal(column: Any, name: str, field: str) -> Any:
    """Numbers of a currency become floats; identifiers of more digits than int64 holds become text."""
    if column.type.scale > 0:
        return column.cast(pa.float64())
    try:
        return _whole(column.cast(pa.int64()), name, field)
    except pa.ArrowInvalid:
        return column.cast(pa.string())


def _moments(column: Any, name: str, field: str) -> Any:
    try:
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp(column.type.unit))
        # nanoseconds are cut to microseconds, which hold every year that people write
        return column.cast(_TIME, safe=False)
    except pa.ArrowException as error:
        raise DataError.at(field, name, f"column {name!r} holds times out of range: {error}") from None


def _times_or_text(column: Any, name: str, field: str) -> Any:
    """Text that is ISO 8601 in every row becomes times, as CSV and JSON have no other way to write them."""
    if not is_utf8(column):
        reason = f"column {name!r} holds text that is not UTF-8"
        raise DataError.at(field, name, reason, hint="Write the file as UTF-8 again.")
    first = next((chunk.drop_null()[0] for chunk in column.chunks if chunk.null_count < len(chunk)), None)
    if first is None or not pc.match_substring_regex(pa.array([first.as_py()]), _ISO_TIME)[0].as_py():
        return column
    if not pc.all(pc.match_substring_regex(column, _ISO_TIME)).as_py():
        return column
    with_zone = pc.match_substring_regex(column, _ZONE)
    zones = pc.any(with_zone).as_py()
    if zones and not pc.all(with_zone).as_py():
        hint = "Write all of them with a zone (…Z or …+01:00), or none."
        raise DataError.at(field, name, f"column {name!r} mixes times with and without a time zone", hint=hint)
    try:
        return _moments(column.cast(pa.timestamp("us", tz="UTC" if zones else None)), name, field)
    except pa.ArrowInvalid:
        return column  # a month 13: what is odd about the text is for the schema to say


def _seconds(column: Any, _name: str, _field: str) -> Any:
    microseconds = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return pc.divide(microseconds.cast(pa.float64(), safe=False), 1e6)


def _time_of_day(column: Any, _name: str, _field: str) -> Any:
    return pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "")


def _viewed_text(column: Any, name: str, field: str) -> Any:
    return _times_or_text(column.cast(pa.large_string()), name, field)


_CONVERSIONS: tuple[tuple[Callable[[Any], bool], Callable[[Any, str, str], Any]], ...] = (
    (pa.types.is_boolean, _as_it_is),
    (pa.types.is_float64, _as_it_is),
    (pa.types.is_float32, _as_it_is),
    (pa.types.is_float16, _half),
    (pa.types.is_integer, _whole),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_timestamp, _moments),
    (pa.types.is_date, _moments),
    (pa.types.is_duration, _seconds),
    (pa.types.is_time, _time_of_day),
    (pa.types.is_string, _times_or_text),
    (pa.types.is_large_string, _times_or_text),
    (pa.types.is_string_view, _viewed_text),
)
