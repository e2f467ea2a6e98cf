"""What is seen of a column piece by piece, and the canonical type that follows from all of it.

The types are those of `canonical`, decided as it decides on whole columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from training.data.canonical import (
    EXACT,
    TIME,
    as_moments,
    as_seconds,
    as_time_of_day,
    has_iso_times,
    is_utf8,
    not_scalar,
    parsed_times,
    zoned_times,
)
from training.data.labels import class_label
from training.data.sql.arrow_types import plain, stored, whole_texts
from training.errors import DataError

_INT64 = (-(2**63), 2**63 - 1)
_TEXT = pa.large_string()
_NUMBERS = {"whole", "float64", "float32", "decimal"}


class ColumnFacts:
    """One column of one origin. Not safe to use from several threads at once."""

    def __init__(self, name: str, field: str) -> None:
        self.name, self._field = name, field
        self.rows = self.nulls = 0
        self._families: dict[str, Any] = {}
        self._low: int | None = None
        self._high: int | None = None
        self._is_iso = self._parses = self._is_utf8 = True
        self._with_zone = self._without_zone = False
        self._whole_texts = True

    @property
    def is_empty(self) -> bool:
        """Whether every value is missing."""
        return self.nulls == self.rows

    def see(self, column: Any) -> None:
        """Looks at a pyarrow.ChunkedArray.

        Raises:
            DataError: the values are no scalars.
        """
        column = plain(column)
        self.rows += len(column)
        self.nulls += column.null_count
        if column.null_count == len(column):
            return
        family = _family(column.type)
        if family is None:
            raise not_scalar(self.name, column.type, self._field)
        self._families.setdefault(family, column.type)
        if family == "numeric":
            self._see_numeric(stored(column))
        elif family == "whole":
            self._see_range(column)
        elif family == "text":
            self._see_text(column)

    def type(self) -> Any:
        """The canonical type of all that was seen.

        Raises:
            DataError: text that is not UTF-8, or times of which some have a zone.
        """
        families = self._families
        if not families:
            return pa.float64()
        if len(families) > 1:
            return pa.float64() if families.keys() <= _NUMBERS else pa.string()
        family, kind = next(iter(families.items()))
        if family == "numeric" and not self._whole_texts:
            return pa.float64()
        if family in {"whole", "numeric"}:
            return self._whole_type()
        if family == "text":
            return self._text_type(kind)
        return {
            "bool": pa.bool_(), "float64": pa.float64(), "float32": pa.float32(), "decimal": pa.float64(),
            "moment": TIME, "seconds": pa.float64(), "clock": pa.string(),
        }[family]  # fmt: skip

    def converted(self, column: Any, kind: Any) -> Any:
        """A pyarrow.ChunkedArray of the column as the type that `type` gave.

        Raises:
            DataError: times out of range.
        """
        column = plain(column)
        if column.null_count == len(column):
            return pa.chunked_array([pa.nulls(len(column), kind)])
        family, column = _family(column.type), stored(column)
        if len(self._families) > 1 and pa.types.is_string(kind):
            labels = [None if value is None else class_label(value) for value in column.to_pylist()]
            return pa.chunked_array([pa.array(labels, kind)])
        if family == "text" and pa.types.is_timestamp(kind):
            family, column = "moment", parsed_times(column, zoned=self._with_zone)
        if family is not None and family in _OF_THEIR_OWN:
            return _OF_THEIR_OWN[family](column, self.name, self._field)
        return column if column.type == kind else column.cast(kind, safe=False)

    def _whole_type(self) -> Any:
        if self._low is None or self._high is None or self._low < _INT64[0] or self._high > _INT64[1]:
            return _TEXT if self._families.keys() == {"numeric"} else pa.string()
        if not self.nulls:
            return pa.int64()
        return pa.string() if max(abs(self._low), abs(self._high)) > EXACT else pa.float64()

    def _text_type(self, kind: Any) -> Any:
        if not self._is_utf8:
            reason = f"column {self.name!r} holds text that is not UTF-8"
            raise DataError.at(self._field, self.name, reason, hint="Write the file as UTF-8 again.")
        if not self._is_iso:
            return pa.string() if pa.types.is_string(kind) else _TEXT
        if self._with_zone and self._without_zone:
            hint = "Write all of them with a zone (…Z or …+01:00), or none."
            reason = f"column {self.name!r} mixes times with and without a time zone"
            raise DataError.at(self._field, self.name, reason, hint=hint)
        return TIME if self._parses else kind

    def _see_numeric(self, texts: Any) -> None:
        if not self._whole_texts or not whole_texts(texts):
            self._whole_texts = False
            return
        try:
            self._see_range(texts.cast(pa.int64()))
        except pa.ArrowInvalid:
            self._widen(_INT64[0] - 1, _INT64[1] + 1)

    def _see_range(self, column: Any) -> None:
        found = pc.min_max(column).as_py()
        self._widen(int(found["min"]), int(found["max"]))

    def _widen(self, low: int, high: int) -> None:
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)

    def _see_text(self, column: Any) -> None:
        self._is_utf8 = self._is_utf8 and is_utf8(column)
        if not (self._is_iso and self._is_utf8 and has_iso_times(column)):
            self._is_iso = False
            return
        zones = zoned_times(column)
        self._with_zone = self._with_zone or pc.any(zones).as_py()
        self._without_zone = self._without_zone or not pc.all(zones).as_py()
        if not (self._with_zone and self._without_zone):
            try:
                parsed_times(column, zoned=self._with_zone)
            except pa.ArrowInvalid:
                self._parses = False  # a month 13: what is odd about the text is for the schema to say


def _family(kind: Any) -> str | None:
    if isinstance(kind, pa.OpaqueType):
        return "numeric"
    if pa.types.is_decimal(kind):
        return "decimal" if kind.scale > 0 else "whole"
    return next((family for fits, family in _FAMILIES if fits(kind)), None)


_OF_THEIR_OWN: dict[str, Callable[[Any, str, str], Any]] = {
    "moment": as_moments,
    "seconds": as_seconds,
    "clock": as_time_of_day,
}
_FAMILIES = (
    (pa.types.is_boolean, "bool"), (pa.types.is_float64, "float64"), (pa.types.is_float32, "float32"),
    (pa.types.is_float16, "float32"), (pa.types.is_integer, "whole"), (pa.types.is_timestamp, "moment"),
    (pa.types.is_date, "moment"), (pa.types.is_duration, "seconds"), (pa.types.is_time, "clock"),
    (pa.types.is_string, "text"), (pa.types.is_large_string, "text"),
)  # fmt: skip
