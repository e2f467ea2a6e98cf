"""Rows in one or more files of one format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa

from training.data.access import DataAccess
from training.data.canonical import canonical
from training.data.files import DataFile
from training.data.formats import FORMATS
from training.data.formats.base import Wanted
from training.data.formats.conditions import admits, expression
from training.data.sources.base import DataSource
from training.data.sources.partitions import with_partitions
from training.errors import DataError, nearest
from training.spec import FileSource


class FileRows(DataSource[FileSource]):
    """Reads one file, a folder or a glob.

    Files are read in the order of their paths and must have the same columns, in any order. Where a column is whole in
    one file and has fractions or is empty in another, the wider type is taken; text and numbers do not mix. In a
    folder or glob with format `auto`, files without a known suffix are passed over.
    """

    def read(
        self, source: FileSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Any:  # fmt: skip
        """All rows of all files."""
        field = f"{field}.uri"
        name, files = _of_one_format(source, access.files(source.uri, field=field), field)
        files = [file for file in files if admits(source.filter, file, field)]
        wanted = Wanted(columns, source.filter)
        tables = [one_file(name, file, field, wanted) for file in files]
        table = tables[0] if len(tables) == 1 else _joined(files, tables, field)
        if table.num_rows == 0:
            hint = "Correct the conditions, or leave data.source.filter out."
            raise DataError.at(field, source.uri, "no row meets the filter", hint=hint)
        if not any(file.partition for file in files):
            return table
        table = canonical(with_partitions(table, files, [one.num_rows for one in tables]), field)
        return _selected(table, columns)

    def batches(
        self, source: FileSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Iterator[Any]:  # fmt: skip
        """The rows of one file after the other, some megabytes at a time."""
        field = f"{field}.uri"
        name, files = _of_one_format(source, access.files(source.uri, field=field), field)
        files = [file for file in files if admits(source.filter, file, field)]
        any_row, seen = False, Seen(files)
        for file in files:
            for table in pieces_of(name, file, field, Wanted(columns, source.filter)):
                any_row = any_row or table.num_rows > 0
                seen.check(file, table, field)
                counts = [table.num_rows if one is file else 0 for one in files]
                yield _selected(with_partitions(table, files, counts), columns)
        if not any_row:
            hint = "Correct the conditions, or leave data.source.filter out."
            raise DataError.at(field, source.uri, "no row meets the filter", hint=hint)

    def size_bytes(self, source: FileSource, access: DataAccess, field: str) -> int:
        """Size of the files as they are stored."""
        field = f"{field}.uri"
        _, files = _of_one_format(source, access.files(source.uri, field=field), field)
        return sum(file.size_bytes for file in files)

    def uri(self, source: FileSource) -> str:
        """The path as the spec gives it."""
        return source.uri


def _format_of(file: DataFile) -> str | None:
    return next((name for name, kind in FORMATS.items() if file.name.endswith(kind.suffixes)), None)


def one_file(name: str, file: DataFile, field: str, wanted: Wanted) -> Any:
    """The rows of one file of a format that are wanted, in the canonical types."""
    table = canonical(FORMATS[name].read(file, field, wanted), field)
    if name != "parquet" and wanted.conditions:
        condition = expression(wanted.conditions, table.schema, file, field)
        table = table if condition is None else table.filter(condition)
    return _selected(table, wanted.columns, {key for key, _ in file.partition})


def pieces_of(name: str, file: DataFile, field: str, wanted: Wanted) -> Iterator[Any]:
    """The rows of one file of a format that are wanted, a piece at a time; text stays text."""
    lacking = set(wanted.columns or ())
    for piece in FORMATS[name].batches(file, field, wanted):
        table = canonical(piece, field, whole=False)
        if name == "jsonl" and wanted.columns is not None:  # a key may be missing from all lines of a piece
            lacking -= set(table.column_names)
            for column in (one for one in wanted.columns if one not in table.column_names):
                table = table.append_column(column, pa.nulls(len(table), pa.float64()))
        if name != "parquet" and wanted.conditions:
            condition = expression(wanted.conditions, table.schema, file, field)
            table = table if condition is None else table.filter(condition)
        yield _selected(table, wanted.columns, {key for key, _ in file.partition})
    if name == "jsonl" and lacking:
        reason = f"no line of {file.label} has the key {min(lacking)!r}"
        raise DataError.at(
            field, min(lacking), reason, hint="Give the rows every column that the model was trained on."
        )


class Seen:
    """What the pieces of several files have held so far, so that files that differ are refused as `read` does."""

    def __init__(self, files: Sequence[DataFile]) -> None:
        self._first = files[0] if files else None
        self._names: list[str] | None = None
        self._kinds: dict[str, tuple[DataFile, Any]] = {}

    def check(self, file: DataFile, table: Any, field: str) -> None:
        """Notes a piece.

        Raises:
            DataError: its columns are not those of the first file, or hold text where that has numbers.
        """
        if self._names is None:
            self._names = table.column_names
        check_same_names(self._first or file, self._names, file, table.column_names, field)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count < len(column):
                earlier = self._kinds.setdefault(name, (file, column.type))
                if earlier[0] is not file:
                    _common_type(name, [earlier, (file, column.type)], field)


def check_same_names(
    first: DataFile, names: Sequence[str], file: DataFile, others: Sequence[str], field: str
) -> None:  # fmt: skip
    """Files of one source have the same columns.

    Raises:
        DataError: names the file that lacks one.
    """
    odd = sorted(set(names) ^ set(others))
    if odd:
        lacking = file if odd[0] in names else first
        close = nearest(odd[0], others if odd[0] in names else names)
        reason = f"{lacking.label} has no column {odd[0]!r}, which other files have{close}"
        raise DataError.at(field, odd[0], reason, hint="Give all files the same columns.")


def _selected(table: Any, columns: Sequence[str] | None, elsewhere: Collection[str] = ()) -> Any:
    if columns is None or not set(columns) <= {*table.column_names, *elsewhere}:
        return table
    return table.select([column for column in table.column_names if column in columns])


def _of_one_format(source: FileSource, files: list[DataFile], field: str) -> tuple[str, list[DataFile]]:
    if source.format != "auto":
        return source.format, files
    suffixes = ", ".join(suffix for kind in FORMATS.values() for suffix in kind.suffixes)
    formats = [_format_of(file) for file in files]
    known = sorted({name for name in formats if name is not None})
    if not known:
        hint = f"Set data.source.format, or use one of the suffixes {suffixes}."
        raise DataError.at(field, source.uri, "the suffix says no format", hint=hint)
    if len(known) > 1:
        hint = "Name files of one format, for example with a glob such as folder/*.parquet."
        raise DataError.at(field, source.uri, f"files of more than one format: {', '.join(known)}", hint=hint)
    return known[0], [file for file, name in zip(files, formats, strict=True) if name is not None]


def _joined(files: list[DataFile], tables: list[Any], field: str) -> Any:
    if not tables:
        return pa.table({})
    first = tables[0]
    names = first.column_names
    for file, table in zip(files[1:], tables[1:], strict=True):
        check_same_names(files[0], names, file, table.column_names, field)
    columns = [_joined_column(name, files, [table[name] for table in tables], field) for name in names]
    return pa.table(columns, names=names)


def _joined_column(name: str, files: list[DataFile], parts: list[Any], field: str) -> Any:
    filled = [(file, part.type) for file, part in zip(files, parts, strict=True) if part.null_count < len(part)]
    if not filled:
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks])
    kind = _common_type(name, filled, field)
    if pa.types.is_integer(kind) and len(filled) < len(parts):
        kind = pa.float64()
    try:
        return pa.chunked_array([chunk for part in parts for chunk in _cast(part, kind).chunks], kind)
    except pa.ArrowInvalid:
        reason = f"column {name!r} is whole in one file and not in another, and some numbers are too long for float64"
        raise DataError.at(field, name, reason, hint="Write long identifiers as text in all files.") from None


def _common_type(name: str, filled: list[tuple[DataFile, Any]], field: str) -> Any:
    (one, first), *rest = filled
    kinds = {first, *(kind for _, kind in rest)}
    if len(kinds) == 1:
        return first
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds):
        return pa.large_string()
    other, second = next((file, kind) for file, kind in rest if kind != first)
    reason = f"column {name!r} holds {first} in {one.label} and {second} in {other.label}"
    raise DataError.at(field, name, reason, hint="Write the column in the same way in all files.")


def _cast(part: Any, kind: Any) -> Any:
    if part.null_count == len(part):
        return pa.chunked_array([pa.nulls(len(part), kind)])
    return part.cast(kind)
