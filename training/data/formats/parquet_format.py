"""Parquet, with columns of plain types."""

from __future__ import annotations

import re
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
from training.errors import DataError

_ROW_LABELS = re.compile(r"__index_level_\d+__")
_MAGIC = b"PAR1"


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


def _read(file: DataFile, field: str, wanted: Wanted) -> Any:
    with file.filesystem.open_input_file(file.path) as source:
        head = source.read(64)
        if not head.startswith(_MAGIC):
            found = recognised(head) or "text"
            hint = "Set data.source.format, or convert the file."
            raise DataError.at(field, file.label, f"not Parquet: the file looks like {found}", hint=hint)
        opened = parquet.ParquetFile(source)
        names = opened.schema_arrow.names
        check_names(names, file, field)
        _check_expansion(opened.metadata, file, field)
        kept = [name for name in names if not _ROW_LABELS.fullmatch(name)]
        if wanted.columns is not None and set(wanted.columns) <= {*kept, *(key for key, _ in file.partition)}:
            kept = [name for name in kept if name in wanted.columns]
        condition = expression(wanted.conditions, opened.schema_arrow, file, field)
        if condition is None:
            return opened.read(columns=kept)
        found = dataset.dataset(file.path, filesystem=file.filesystem, format="parquet")
        return found.to_table(columns=kept, filter=condition)


def _check_expansion(metadata: Any, file: DataFile, field: str) -> None:
    """A few bytes can say "the same value, a thousand million times"."""
    least_bytes = metadata.num_rows * max(1, metadata.num_columns)
    if least_bytes > max(MIN_EXPANDED_BYTES, MAX_EXPANSION * file.size_bytes):
        raise expands_too_much(file, field)
