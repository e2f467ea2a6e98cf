"""Parquet, with columns of plain types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import dataset, parquet

from training.data.files import MAX_EXPANSION, MIN_EXPANDED_BYTES, DataFile
from training.data.formats.base import (
    ALL,
    BLOCK_BYTES,
    TableFormat,
    Wanted,
    check_names,
    damaged,
    expands_too_much,
    recognised,
    unreadable,
)
from training.data.formats.conditions import expression
from training.errors import DataError

_ROW_LABELS = re.compile(r"__index_level_\d+__")
_MAGIC = b"PAR1"

MAX_BATCH_ROWS, MIN_BATCH_ROWS = 131_072, 1024
STREAM_BUFFER_BYTES = 2**20
"""Of each column, when a file is read in pieces: otherwise all of a row group is in memory, however large it is."""


class ParquetFormat(TableFormat):
    """Parquet files. Row labels without a name, which pandas writes as columns of its own, are left out."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def read(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Any:
        """The rows of one file."""
        if file.size_bytes == 0:
            raise DataError.at(field, file.label, "the file is empty", hint="Name a file with rows.")
        try:
            table = _read(file, field, wanted)
        except OSError as error:
            raise unreadable(file, field, "Parquet", error) from None
        except (pa.ArrowException, UnicodeDecodeError):
            raise damaged(file, field, "Parquet") from None
        if table.num_rows == 0 and not wanted.conditions:
            raise DataError.at(field, file.label, "no rows", hint="Name a file with rows.")
        return table

    def batches(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Iterator[Any]:
        """The rows of some megabytes at a time, whatever the size of the row groups."""
        if file.size_bytes == 0:
            raise DataError.at(field, file.label, "the file is empty", hint="Name a file with rows.")
        try:
            yield from _pieces(file, field, wanted)
        except OSError as error:
            raise unreadable(file, field, "Parquet", error) from None
        except (pa.ArrowException, UnicodeDecodeError):
            raise damaged(file, field, "Parquet") from None


def _read(file: DataFile, field: str, wanted: Wanted) -> Any:
    with file.filesystem.open_input_file(file.path) as source:
        opened, kept, condition = _opened(source, file, field, wanted)
        if condition is None:
            return opened.read(columns=kept)
        found = dataset.dataset(file.path, filesystem=file.filesystem, format="parquet")
        return found.to_table(columns=kept, filter=condition)


def _opened(
    source: Any, file: DataFile, field: str, wanted: Wanted, *, streamed: bool = False
) -> tuple[Any, list[str], Any]:  # fmt: skip
    """The file, the columns to take of it, and the condition on its rows."""
    head = source.read(64)
    if not head.startswith(_MAGIC):
        found = recognised(head) or "text"
        hint = "Set data.source.format, or convert the file."
        raise DataError.at(field, file.label, f"not Parquet: the file looks like {found}", hint=hint)
    opened = parquet.ParquetFile(source, pre_buffer=False, buffer_size=STREAM_BUFFER_BYTES if streamed else 0)
    names = opened.schema_arrow.names
    check_names(names, file, field)
    _check_expansion(opened.metadata, file, field)
    kept = [name for name in names if not _ROW_LABELS.fullmatch(name)]
    if wanted.columns is not None and set(wanted.columns) <= {*kept, *(key for key, _ in file.partition)}:
        kept = [name for name in kept if name in wanted.columns]
    return opened, kept, expression(wanted.conditions, opened.schema_arrow, file, field)


def _pieces(file: DataFile, field: str, wanted: Wanted) -> Iterator[Any]:
    with file.filesystem.open_input_file(file.path) as source:
        opened, kept, condition = _opened(source, file, field, wanted, streamed=True)
        metadata = opened.metadata
        stored_bytes = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        rows = min(MAX_BATCH_ROWS, max(MIN_BATCH_ROWS, BLOCK_BYTES * metadata.num_rows // max(1, stored_bytes)))
        compared = {name for name, _, _ in wanted.conditions} & set(opened.schema_arrow.names)
        for batch in opened.iter_batches(rows, columns=[*kept, *sorted(compared - set(kept))], use_threads=False):
            table = pa.Table.from_batches([batch])
            yield (table if condition is None else table.filter(condition)).select(kept)


def _check_expansion(metadata: Any, file: DataFile, field: str) -> None:
    """A few bytes can say "the same value, a thousand million times"."""
    least_bytes = metadata.num_rows * max(1, metadata.num_columns)
    if least_bytes > max(MIN_EXPANDED_BYTES, MAX_EXPANSION * file.size_bytes):
        raise expands_too_much(file, field)
