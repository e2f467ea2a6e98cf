"""Parquet, with columns of plain types."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import parquet

from training.data.files import DataFile
from training.data.formats.base import TableFormat, check_names, damaged, recognised, unreadable
from training.errors import DataError

_ROW_LABELS = re.compile(r"__index_level_\d+__")
_MAGIC = b"PAR1"


class ParquetFormat(TableFormat):
    """Parquet files. Row labels without a name, which pandas writes as columns of its own, are left out."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def read(self, file: DataFile, field: str) -> Any:
        """The rows of one file."""
        if file.size_bytes == 0:
            raise DataError.at(field, file.label, "the file is empty", hint="Name a file with rows.")
        try:
            table = _read(file, field)
        except OSError as error:
            raise unreadable(file, field, "Parquet", error) from None
        except (pa.ArrowException, UnicodeDecodeError):
            raise damaged(file, field, "Parquet") from None
        if table.num_rows == 0:
            raise DataError.at(field, file.label, "no rows", hint="Name a file with rows.")
        return table


def _read(file: DataFile, field: str) -> Any:
    with file.filesystem.open_input_file(file.path) as source:
        head = source.read(64)
        if not head.startswith(_MAGIC):
            found = recognised(head) or "text"
            hint = "Set data.source.format, or convert the file."
            raise DataError.at(field, file.label, f"not Parquet: the file looks like {found}", hint=hint)
        opened = parquet.ParquetFile(source)
        names = opened.schema_arrow.names
        check_names(names, file, field)
        return opened.read().select([name for name in names if not _ROW_LABELS.fullmatch(name)])
