"""JSON lines: one JSON object per line, UTF-8."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import json as pa_json

from training.data.canonical import is_utf8
from training.data.files import DataFile, text_pieces
from training.data.formats.arrow_limits import may_end_arrow
from training.data.formats.base import (
    ALL,
    BLOCK_BYTES,
    TableFormat,
    Wanted,
    damaged,
    lost_digits,
    not_utf8,
    text_head,
    unreadable,
)
from training.data.formats.records import table_of
from training.errors import DataError


class JsonLinesFormat(TableFormat):
    """JSON lines, plain or gzipped. Keys may be missing from a line; that value is then missing."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

    def read(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Any:
        """The rows of one file.

        Arrow's parser is tried first. Python's takes over where it gives up: it names the broken line, and reads what
        Arrow does not, such as numbers and text in one column. It also reads what might be nested deep, or
        null instead of an object, which would end the process in Arrow's.
        """
        text_head(file, field, "JSON lines")
        try:
            if may_end_arrow(_blocks(file)):
                return table_of(list(_records(file, field)), field)
            table = _read(file, {})
            moments = {name: pa.string() for name, kind in _types(table).items() if pa.types.is_timestamp(kind)}
            if moments:  # Arrow takes a time without a zone for UTC; as text, `canonical` sees whether they are mixed
                table = _read(file, moments).select(table.column_names)
            valid = all(is_utf8(column) for column in table.columns)
        except UnicodeDecodeError:  # in the name of a column
            valid = False
        except pa.ArrowException:
            return table_of(list(_records(file, field)), field)
        except OSError as error:
            raise unreadable(file, field, "JSON lines", error) from None
        if not valid:
            raise not_utf8(file, field) or damaged(file, field, "JSON lines")
        if table.num_columns == 0:
            raise DataError.at(field, file.label, "no columns: every line is {}", hint="Name a file with rows.")
        if any(lost_digits(column) for column in table.columns):
            return table_of(list(_records(file, field)), field)
        return table

    def pieces(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Iterator[Any]:
        """The rows of some megabytes of text at a time. The file is read twice: a key may come in some lines only."""
        names: dict[str, None] = {}
        for table in self._tables(file, field, wanted):
            names |= dict.fromkeys(table.column_names)
        for table in self._tables(file, field, wanted):
            for name in (name for name in names if name not in table.column_names):
                table = table.append_column(name, pa.nulls(len(table), pa.float64()))  # noqa: PLW2901 - grows
            yield table.select(list(names))

    def _tables(self, file: DataFile, field: str, wanted: Wanted) -> Iterator[Any]:
        text_head(file, field, "JSON lines")
        try:
            for piece in text_pieces(file, BLOCK_BYTES):
                if piece.content.strip():
                    yield self.read(piece, field, wanted)
        except OSError as error:
            raise unreadable(file, field, "JSON lines", error) from None


def _blocks(file: DataFile) -> Iterator[bytes]:
    with file.open() as stream:
        while block := bytes(stream.read(BLOCK_BYTES)):
            yield block


def _read(file: DataFile, types: dict[str, Any]) -> Any:
    options = pa_json.ParseOptions(explicit_schema=pa.schema(types))
    with file.open() as stream:
        return pa_json.read_json(stream, pa_json.ReadOptions(block_size=BLOCK_BYTES), options)


def _types(table: Any) -> dict[str, Any]:
    return dict(zip(table.column_names, table.schema.types, strict=True))


def _records(file: DataFile, field: str) -> Iterator[dict[str, Any]]:
    encoding = not_utf8(file, field)
    if encoding is not None:
        raise encoding
    with file.open() as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig"), start=file.first_line):
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=_without_twins)
            except (ValueError, RecursionError) as error:
                reason = f"line {number} is not a JSON object: {error}"
                raise DataError.at(field, line[:80].strip(), reason, hint="Correct that line.") from None
            if not isinstance(record, dict):
                reason = f"line {number} is {type(record).__name__}, not a JSON object"
                hint = "Write one object per line, without a list around them."
                raise DataError.at(field, line[:80].strip(), reason, hint=hint)
            yield record


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} occurs twice")
    return record
