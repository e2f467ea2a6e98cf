"""Rows in one or more files of one format."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any

import pyarrow as pa

from training.data.access import DataAccess
from training.data.canonical import canonical
from training.data.coded import decoded
from training.data.files import DataFile
from training.data.formats import FORMATS
from training.data.formats.base import Wanted
from training.data.formats.conditions import admits, expression
from training.data.sources.base import DataSource
from training.data.sources.partitions import partition_columns, with_partition, with_partitions
from training.data.streaming import Piece
from training.data.streaming.origins import check_same_columns, common_type, widened
from training.errors import DataError
from training.spec import FileSource

STREAMED_BYTES = 256 * 2**20
"""Files that are larger together do not become one table in memory on their way to the snapshot."""
HELD_BYTES = 4 * STREAMED_BYTES
"""Nor do those that are larger in memory, however small they are on disk."""
LOOKED_INTO = 8
"""Of many files, so many tell how large all of them are in memory, before anything is read."""


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
        table = tables[0] if len(tables) == 1 else _joined(files, [decoded(one) for one in tables], field)
        if table.num_rows == 0:
            raise _nothing_left(source, field)
        if not any(file.partition for file in files):
            return table
        table = canonical(with_partitions(table, files, [one.num_rows for one in tables]), field)
        return _selected(table, columns)

    def pieces(
        self, source: FileSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None] | None:
        """Large files in pieces; small ones are best read whole."""
        field = f"{field}.uri"
        name, files = _of_one_format(source, access.files(source.uri, field=field), field)
        if not is_large(name, files):
            return None
        files = [file for file in files if admits(source.filter, file, field)]
        return pieces_of(name, files, field, Wanted(columns, source.filter), _nothing_left(source, field))

    def place(self, source: FileSource, field: str) -> str:
        """The path."""
        return f"{field}.uri"

    def size_bytes(self, source: FileSource, access: DataAccess, field: str) -> int:
        """Size of the content, as a part of the files tells it."""
        field = f"{field}.uri"
        name, files = _of_one_format(source, access.files(source.uri, field=field), field)
        return about_bytes(name, files)

    def uri(self, source: FileSource) -> str:
        """The path as the spec gives it."""
        return source.uri


def is_large(name: str, files: Sequence[DataFile]) -> bool:
    """Whether files of one format had better not become one table in memory."""
    if sum(file.content_bytes for file in files) >= STREAMED_BYTES:
        return True
    left = HELD_BYTES if name == "parquet" else STREAMED_BYTES
    for file in files:
        left -= FORMATS[name].content_bytes(file)
        if left <= 0:
            return True
    return False


def about_bytes(name: str, files: Sequence[DataFile]) -> int:
    """About how large the content of files of one format is."""
    stored = sum(file.size_bytes for file in files)
    some = files[:: -(-len(files) // LOOKED_INTO)] if files else []
    looked_into = sum(file.size_bytes for file in some)
    if stored >= STREAMED_BYTES or not looked_into:
        return stored
    return stored * sum(FORMATS[name].content_bytes(file) for file in some) // looked_into


def pieces_of(
    name: str, files: Sequence[DataFile], field: str, wanted: Wanted, nothing: DataError
) -> Generator[Piece, None, None]:
    """The rows of files of one format, one file after the other.

    Raises:
        DataError: the files cannot be read; `nothing` where they have no row that is wanted.
    """
    added = partition_columns(files)
    size, done_bytes, rows = sum(file.size_bytes for file in files), 0, 0
    # a condition on text is met by values as the whole file has them
    is_streamed = name == "parquet" or not wanted.conditions
    for file in files:
        tables = FORMATS[name].pieces(file, field, wanted) if is_streamed else [one_file(name, file, field, wanted)]
        for table in tables:
            rows += table.num_rows
            yield Piece(file.label, _selected(with_partition(table, file, added), wanted.columns), done_bytes / size)
        done_bytes += file.size_bytes
    if not rows:
        raise nothing


def _nothing_left(source: FileSource, field: str) -> DataError:
    hint = "Correct the conditions, or leave data.source.filter out."
    return DataError.at(field, source.uri, "no row meets the filter", hint=hint)


def _format_of(file: DataFile) -> str | None:
    return next((name for name, kind in FORMATS.items() if file.name.endswith(kind.suffixes)), None)


def one_file(name: str, file: DataFile, field: str, wanted: Wanted) -> Any:
    """The rows of one file of a format that are wanted, in the canonical types; texts may be held as codes."""
    table = canonical(FORMATS[name].read(file, field, wanted), field, coded=True)
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
    names = tables[0].column_names
    for file, table in zip(files[1:], tables[1:], strict=True):
        check_same_columns((files[0].label, names), (file.label, table.column_names), field)
    columns = [_joined_column(name, files, [table[name] for table in tables], field) for name in names]
    return pa.table(columns, names=names)


def _joined_column(name: str, files: list[DataFile], parts: list[Any], field: str) -> Any:
    filled = [(file.label, part.type) for file, part in zip(files, parts, strict=True) if part.null_count < len(part)]
    if not filled:
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks])
    kind = common_type(name, filled, len(parts), field)
    return pa.chunked_array([chunk for part in parts for chunk in widened(part, kind, name, field).chunks], kind)
