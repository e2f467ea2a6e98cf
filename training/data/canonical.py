"""One set of column types for all formats, so that the same rows give the same table wherever they come from.

int64      whole numbers without missing values
float64    other numbers, and whole numbers with missing values (missing is NaN); float32 stays float32
bool       with nulls where values are missing
timestamp  in microseconds without a zone; times with a zone are converted to UTC
string     text, and whole numbers that int64 or float64 would not hold exactly; as codes where they were read so and
           the caller takes them
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from training.data.coded import is_text
from training.errors import DataError, shown

MAX_COLUMNS = 20_000
EXACT = 2**53
"""Whole numbers beyond are not all exact as float64."""
TIME = pa.timestamp("us")
_ISO_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
_ZONE = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


def canonical(table: Any, field: str, *, coded: bool = False) -> Any:
    """The pyarrow.Table with the types above, without metadata; columns without a name become "Unnamed: POSITION".

    Args:
        table: rows in the types of their source.
        field: where the spec names them, for messages.
        coded: texts that are held as codes may stay so.

    Raises:
        DataError: too many columns, or a column whose values are no scalars; names the column.
    """
    names = clean_names(table.column_names, field)
    columns = [_column(column, name, field, coded=coded) for name, column in zip(names, table.columns, strict=True)]
    return pa.table(columns, names=names)


def clean_names(given: list[str], field: str) -> list[str]:
    """Names of columns without spaces around them; those without a name by their position.

    Raises:
        DataError: too many, or two of one name.
    """
    if len(given) > MAX_COLUMNS:
        hint = "Drop columns, or write one row per measurement."
        raise DataError.at(field, len(given), f"more than {MAX_COLUMNS:,} columns", hint=hint)
    names = [name.strip() or f"Unnamed: {position}" for position, name in enumerate(given)]
    twins = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twins:
        raise DataError.at(field, min(twins), f"more than one column named {min(twins)!r}", hint="Rename one of them.")
    return names


def is_utf8(column: Any) -> bool:
    """Whether every text of a column is valid UTF-8, which readers other than that of CSV do not check."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _column(column: Any, name: str, field: str, *, coded: bool) -> Any:
    if pa.types.is_dictionary(column.type):
        if coded and _are_plain_texts(column):
            return column
        column = column.cast(column.type.value_type)
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    for fits, convert in _CONVERSIONS:
        if fits(column.type):
            return convert(column, name, field)
    raise not_scalar(name, column.type, field)


def _are_plain_texts(column: Any) -> bool:
    """Whether codes stand for valid texts, of which none is a time and some are there."""
    texts = pa.chunked_array([chunk.dictionary for chunk in column.chunks], column.type.value_type)
    if not is_text(texts.type) or column.null_count == len(column) or texts.null_count or not is_utf8(texts):
        return False
    return not pc.any(pc.match_substring_regex(texts, _ISO_TIME)).as_py()


def not_scalar(name: str, kind: Any, field: str) -> DataError:
    """The error for a column of lists, structures or bytes."""
    reason = f"column {name!r} holds {shown(str(kind))}, which is no number, text, boolean or time"
    hint = "Spread it over columns of numbers or text, or leave it out of the file."
    return DataError.at(field, name, reason, hint=hint)


def has_iso_times(column: Any) -> bool:
    """Whether every text of a column that has one at least is a time in ISO 8601."""
    first = next(chunk.drop_null()[0] for chunk in column.chunks if chunk.null_count < len(chunk))
    if not pc.match_substring_regex(pa.array([first.as_py()]), _ISO_TIME)[0].as_py():
        return False
    return bool(pc.all(pc.match_substring_regex(column, _ISO_TIME)).as_py())


def zoned_times(column: Any) -> Any:
    """Of each text that is a time, whether it has a zone."""
    return pc.match_substring_regex(column, _ZONE)


def parsed_times(column: Any, *, zoned: bool) -> Any:
    """Texts that are times as times; raises pa.ArrowInvalid for a month 13."""
    return column.cast(pa.timestamp("us", tz="UTC" if zoned else None))


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
    if max(abs(range_["min"]), abs(range_["max"])) > EXACT:
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


def as_moments(column: Any, name: str, field: str) -> Any:
    """Times in microseconds without a zone; times with one are converted to UTC."""
    try:
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp(column.type.unit))
        # nanoseconds are cut to microseconds, which hold every year that people write
        return column.cast(TIME, safe=False)
    except pa.ArrowException as error:
        raise DataError.at(field, name, f"column {name!r} holds times out of range: {error}") from None


def _times_or_text(column: Any, name: str, field: str) -> Any:
    """Text that is ISO 8601 in every row becomes times, as CSV and JSON have no other way to write them."""
    if not is_utf8(column):
        reason = f"column {name!r} holds text that is not UTF-8"
        raise DataError.at(field, name, reason, hint="Write the file as UTF-8 again.")
    if not has_iso_times(column):
        return column
    with_zone = zoned_times(column)
    zones = pc.any(with_zone).as_py()
    if zones and not pc.all(with_zone).as_py():
        hint = "Write all of them with a zone (…Z or …+01:00), or none."
        raise DataError.at(field, name, f"column {name!r} mixes times with and without a time zone", hint=hint)
    try:
        return as_moments(parsed_times(column, zoned=zones), name, field)
    except pa.ArrowInvalid:
        return column  # a month 13: what is odd about the text is for the schema to say


def as_seconds(column: Any, _name: str = "", _field: str = "") -> Any:
    """Durations in seconds."""
    microseconds = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return pc.divide(microseconds.cast(pa.float64(), safe=False), 1e6)


def as_time_of_day(column: Any, _name: str = "", _field: str = "") -> Any:
    """Times of day as text."""
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
    (pa.types.is_timestamp, as_moments),
    (pa.types.is_date, as_moments),
    (pa.types.is_duration, as_seconds),
    (pa.types.is_time, as_time_of_day),
    (pa.types.is_string, _times_or_text),
    (pa.types.is_large_string, _times_or_text),
    (pa.types.is_string_view, _viewed_text),
)
