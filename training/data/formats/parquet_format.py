"""Parquet, with columns of plain types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import dataset, parquet

from training.data.files import MAX_EXPANSION, MIN_EXPANDED_BYTES, DataFile
from training.data.formats.base import (
    ALL,
    TableFormat,
    Wanted,
    check_names,
    damaged,
    expands_too_much,
    recognised,
    unreadable,
)
from training.data.formats.conditions import expression
from training.data.formats.parquet_size import decoded_size
from training.errors import DataError

_ROW_LABELS = re.compile(r"__index_level_\d+__")
_MAGIC = b"PAR1"
LENGTH_BYTES = 4
"""What each text has before its characters where it is stored as it is."""
ROWS_PER_PIECE = 65_536
PIECE_BYTES = 64 * 2**20
"""Of rows with long texts there are fewer in a piece."""
GROUP_BYTES = 2**30
"""A scan with a condition decodes whole row groups: larger ones are read in pieces, and filtered afterwards."""
STREAM_BUFFER_BYTES = 2**20
"""Of each column, when a file is read in pieces: otherwise all of a row group is in memory, however large it is."""


class ParquetFormat(TableFormat):
    """Parquet files. Row labels without a name, which pandas writes as columns of its own, are left out."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def read(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Any:
        """The rows of one file."""
        with _explained(file, field), _opened(file, field, as_codes=True) as opened:
            kept, condition = _chosen(opened, file, field, wanted)
            table = (
                opened.read(columns=kept)
                if condition is None
                else _scanned(file, kept, condition).to_table()
            )  # fmt: skip
        if table.num_rows == 0 and not wanted.conditions:
            raise DataError.at(field, file.label, "no rows", hint="Name a file with rows.")
        return table

    def pieces(self, file: DataFile, field: str, wanted: Wanted = ALL) -> Iterator[Any]:
        """The rows of one file, ROWS_PER_PIECE or PIECE_BYTES at once."""
        with _explained(file, field), _opened(file, field, STREAM_BUFFER_BYTES) as opened:
            kept, condition = _chosen(opened, file, field, wanted)
            yield opened.schema_arrow.empty_table().select(kept)
            with file.filesystem.open_input_file(file.path) as source:
                size = decoded_size(source, opened.metadata)
            if condition is not None and size.largest_group_bytes <= GROUP_BYTES:
                for batch in _scanned(file, kept, condition).to_batches():
                    yield pa.Table.from_batches([batch]).select(kept)
                return
            asked = {column for column, *_ in wanted.conditions}
            needed = [name for name in opened.schema_arrow.names if name in asked or name in kept]
            rows = min(ROWS_PER_PIECE, size.rows_within(PIECE_BYTES))
            for batch in opened.iter_batches(batch_size=rows, columns=needed):
                piece = pa.Table.from_batches([batch])
                yield (piece if condition is None else piece.filter(condition)).select(kept)

    def content_bytes(self, file: DataFile) -> int:
        """Of the rows as they are in memory, see TableFormat."""
        try:
            with file.filesystem.open_input_file(file.path) as source:
                decoded = decoded_size(source, parquet.read_metadata(source))
                return max(file.content_bytes, decoded.nbytes)
        except (OSError, pa.ArrowException, UnicodeDecodeError):  # who reads it tells the caller
            return file.content_bytes


@contextmanager
def _explained(file: DataFile, field: str) -> Iterator[None]:
    if file.size_bytes == 0:
        raise DataError.at(field, file.label, "the file is empty", hint="Name a file with rows.")
    try:
        yield
    except OSError as error:
        raise unreadable(file, field, "Parquet", error) from None
    except (pa.ArrowException, UnicodeDecodeError):
        raise damaged(file, field, "Parquet") from None


@contextmanager
def _opened(file: DataFile, field: str, buffer_bytes: int = 0, *, as_codes: bool = False) -> Iterator[Any]:
    with file.filesystem.open_input_file(file.path) as source:
        head = source.read(64)
        if not head.startswith(_MAGIC):
            found = recognised(head) or "text"
            hint = "Set data.source.format, or convert the file."
            raise DataError.at(field, file.label, f"not Parquet: the file looks like {found}", hint=hint)
        metadata = parquet.read_metadata(source)
        opened = parquet.ParquetFile(
            source, metadata=metadata, pre_buffer=False, buffer_size=buffer_bytes,
            read_dictionary=_coded(metadata) if as_codes else None,
        )  # fmt: skip
        check_names(opened.schema_arrow.names, file, field)
        check_expansion(opened.metadata, file, field)
        yield opened


def _coded(metadata: Any) -> list[str]:
    """Columns of text that are stored as codes, as far as the first row group says.

    Read as codes and made text afterwards they take about half of the processor time.
    """
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.physical_type == "BYTE_ARRAY" and chunk.total_uncompressed_size < LENGTH_BYTES * chunk.num_values
    ]


def _chosen(opened: Any, file: DataFile, field: str, wanted: Wanted) -> tuple[list[str], Any]:
    """The columns to read, and the condition on rows."""
    kept = [name for name in opened.schema_arrow.names if not _ROW_LABELS.fullmatch(name)]
    if wanted.columns is not None and set(wanted.columns) <= {*kept, *(key for key, _ in file.partition)}:
        kept = [name for name in kept if name in wanted.columns]
    return kept, expression(wanted.conditions, opened.schema_arrow, file, field)


def _scanned(file: DataFile, kept: list[str], condition: Any) -> Any:
    found = dataset.dataset(file.path, filesystem=file.filesystem, format="parquet")
    return found.scanner(
        columns=kept, filter=condition, batch_size=ROWS_PER_PIECE, batch_readahead=2, fragment_readahead=1
    )


def check_expansion(metadata: Any, file: DataFile, field: str) -> None:
    """A few bytes can say "the same value, a thousand million times".

    Raises:
        DataError: the footer says so of this file.
    """
    least_bytes = metadata.num_rows * max(1, metadata.num_columns)
    if least_bytes > max(MIN_EXPANDED_BYTES, MAX_EXPANSION * file.size_bytes):
        raise expands_too_much(file, field)
