"""Rows in one or more files of one format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
        tables = [_one_file(name, file, field, wanted) for file in files]
        table = tables[0] if len(tables) == 1 else _joined(files, tables, field)
        if table.num_rows == 0:
            hint = "Correct the conditions, or leave data.source.filter out."
            raise DataError.at(field, source.uri, "no row meets the filter", hint=hint)
        if not any(file.partition for file in files):
            return table
        table = canonical(with_partitions(table, files, [one.num_rows for one in tables]), field)
        return _selected(table, columns)

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


def _one_file(name: str, file: DataFile, field: str, wanted: Wanted) -> Any:
    table = canonical(FORMATS[name].read(file, field, wanted), field)
    if name != "parquet" and wanted.conditions:
        condition = expression(wanted.conditions, table.schema, file, field)
        table = table if condition is None else table.filter(condition)
    return _selected(table, wanted.columns, {key for key, _ in file.partition})


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
        odd = sorted(set(names) ^ set(table.column_names))
        if odd:
            lacking = file if odd[0] in names else files[0]
            close = nearest(odd[0], table.column_names if odd[0] in names else names)
            reason = f"{lacking.label} has no column {odd[0]!r}, which other files have{close}"
            raise DataError.at(field, odd[0], reason, hint="Give all files the same columns.")
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
