"""CSV: UTF-8, a header line, separated by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa

from training.data.files import DataFile
from training.data.formats.base import (
    ALL,
    HEAD_BYTES,
    TableFormat,
    Wanted,
    check_names,
    damaged,
    lost_digits,
    not_utf8,
    only_digits,
    text_head,
    unreadable,
)
from training.data.formats.csv_parsing import parse, parse_as_text
from training.data.formats.csv_streaming import column_names, streamed, types_of_all
from training.errors import DataError

SEPARATORS = ",;\t|"


class CsvFormat(TableFormat):
    """CSV files, plain or gzipped.

    The separator is the one of SEPARATORS that is most frequent in the header line. Dates and times are ISO 8601.
    Numbers too long for int64 stay text, so that no identifier loses digits.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz")

    def read(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Any:
        """The rows of one file."""
        separator = _checked_separator(file, field)
        with _explaining(file, field, separator):
            table = parse(file, separator)
            check_names(table.column_names, file, field)
        _check_text(table, file, field)
        if table.num_rows == 0:
            raise _no_rows(file, field)
        doubtful = [name for name, column in zip(table.column_names, table.columns, strict=True) if _doubtful(column)]
        if not doubtful:
            return table
        texts = parse_as_text(file, separator, doubtful)
        for name in doubtful:
            if not pa.types.is_floating(table[name].type) or only_digits(texts[name]):
                table = table.set_column(table.column_names.index(name), name, texts[name])
        return table

    def pieces(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Iterator[Any]:
        """The rows of some megabytes of text at a time. The file is read twice: the types are those of all its rows."""
        separator = _checked_separator(file, field)
        with _explaining(file, field, separator):
            names = column_names(file, separator)
            check_names(names, file, field)
            if wanted.columns is not None and set(wanted.columns) <= {*names, *(key for key, _ in file.partition)}:
                compared = {name for name, _, _ in wanted.conditions}
                names = [name for name in names if name in compared or name in wanted.columns]
            yield from streamed(file, separator, types_of_all(file, separator, names))


def _checked_separator(file: DataFile, field: str) -> str:
    head = text_head(file, field, "CSV")
    header = head.split(b"\n", 1)[0]
    _check_header(header, file, field)
    if len(head) < HEAD_BYTES and len(head.strip().splitlines()) == 1:
        raise _no_rows(file, field)
    return _separator(header.decode(errors="replace"))


def _no_rows(file: DataFile, field: str) -> DataError:
    return DataError.at(field, file.label, "a header line, but no rows", hint="Name a file with rows.")


def _check_header(header: bytes, file: DataFile, field: str) -> None:
    text = header.decode(errors="replace").strip()
    if text.startswith(("{", "[")):
        try:
            json.loads(text)
        except ValueError:
            return  # a column may be called so
        hint = "Set data.source.format to jsonl."
        raise DataError.at(field, file.label, "not CSV: the first line is JSON", hint=hint)


def _separator(header: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=unquoted.count)


@contextmanager
def _explaining(file: DataFile, field: str, separator: str) -> Iterator[None]:
    """Turns what Arrow raises into errors for the caller."""
    try:
        yield
    except UnicodeDecodeError:
        raise not_utf8(file, field) or damaged(file, field, "CSV") from None
    except pa.ArrowInvalid as error:
        raise _explained(file, field, separator, str(error)) from None
    except OSError as error:
        raise unreadable(file, field, "CSV", error) from None


def _check_text(table: Any, file: DataFile, field: str) -> None:
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_binary(kind):
            raise not_utf8(file, field) or DataError.at(field, name, f"column {name!r} is not UTF-8 text")


def _doubtful(column: Any) -> bool:
    """Whether Arrow guessed a type that is not wanted: times of day, or floats for long whole numbers."""
    return bool(pa.types.is_time(column.type)) or lost_digits(column)


def _explained(file: DataFile, field: str, separator: str, message: str) -> DataError:
    """Says what Arrow's parser complained of, with the line."""
    encoding = not_utf8(file, field)
    if encoding is not None:
        return encoding
    ragged = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if ragged is None:
        reason = message.splitlines()[0].removeprefix("CSV parse error: ")
        return DataError.at(field, file.label, f"not CSV: {reason}", hint="Correct the file.")
    expected, found = int(ragged[1]), int(ragged[2])
    line = _ragged_line(file, separator, expected)
    where = f"line {line} has {found} values" if line else f"a line has {found} values"
    hint = "Quote values that hold the separator, or complete the line."
    return DataError.at(field, file.label, f"{where}, the header has {expected} columns", hint=hint)


def _ragged_line(file: DataFile, separator: str, expected: int) -> int | None:
    """Line of the first record whose length is not that of the header."""
    with file.open() as stream:
        reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8", newline=""), delimiter=separator)
        start = 1
        try:
            for record in reader:
                if record and len(record) != expected:
                    return start
                start = reader.line_num + 1
        except csv.Error:  # a value longer than Python's reader takes: the message goes without the line
            return None
    return None
