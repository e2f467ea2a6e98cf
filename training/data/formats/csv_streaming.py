"""CSV in pieces, with the types that all of its rows have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from training.data.files import DataFile
from training.data.formats.base import lost_digits, only_digits
from training.data.formats.csv_parsing import options

BLOCK_BYTES = 4 * 2**20
"""Of text; Arrow reads up to 32 blocks ahead of the parser, and all of these are in memory."""
_LADDER = (
    pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"), pa.float64(), pa.string(),
)  # fmt: skip
"""What Arrow tries on a column, one after the other, when it reads a file whole."""


def column_names(file: DataFile, separator: str) -> list[str]:
    """The names in the header; raises as `csv_parsing.parse` does."""
    with _opened(file, separator, {}) as opened:
        return list(opened.schema.names)


def types_of_all(file: DataFile, separator: str, names: Sequence[str]) -> dict[str, Any]:
    """The narrowest type of each column that holds all its values; times of day and long whole numbers are text.

    One pass over the file, and a part of one for each type of the first block that does not hold for the rest.
    """
    with _opened(file, separator, dict.fromkeys(names)) as opened:
        schema = opened.schema
        types = dict(zip(schema.names, schema.types, strict=True))
    while True:
        try:
            long = _long(streamed(file, separator, types))
        except pa.ArrowInvalid as error:
            column = re.search(r"In CSV column #(\d+)", str(error))
            if column is None:
                raise
            name = column_names(file, separator)[int(column[1])]
            if name not in types or types[name] == _LADDER[-1]:
                raise
            types[name] = _next(types[name])
        else:
            break
    as_text = dict.fromkeys(long, pa.string())
    digits = set(long)
    if as_text:
        for table in streamed(file, separator, as_text):
            digits = {name for name in digits if only_digits(table[name])}
    times = {name for name, kind in types.items() if pa.types.is_time(kind)}
    return types | dict.fromkeys(digits | times, pa.string())


def streamed(file: DataFile, separator: str, types: Mapping[str, Any]) -> Iterator[Any]:
    """The columns that have types, some megabytes of text at a time.

    Raises:
        pyarrow.ArrowInvalid: a value is not of its type, or the text is wrong.
        OSError: the file cannot be read or decompressed.
    """
    with _opened(file, separator, types) as opened:
        for batch in opened:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


@contextmanager
def _opened(file: DataFile, separator: str, types: Mapping[str, Any]) -> Iterator[Any]:
    known = {name: kind for name, kind in types.items() if kind is not None}
    with file.open() as stream, pa_csv.open_csv(stream, *options(separator, BLOCK_BYTES, known, list(types))) as opened:
        yield opened


def _long(tables: Iterator[Any]) -> list[str]:
    """Columns of floats that may be whole numbers too long for float64 to hold exactly."""
    whole: dict[str, bool] = {}
    large: set[str] = set()
    for table in tables:
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_floating(column.type):
                whole[name] = whole.get(name, True) and bool(
                    pc.all(pc.equal(column, pc.round(column))).as_py() or False
                )
                if lost_digits(column):
                    large.add(name)
    return sorted(name for name in large if whole[name])


def _next(kind: Any) -> Any:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.float64()
    return _LADDER[_LADDER.index(kind) + 1]
