"""Columns that the names of folders say: `year=2024/month=5/part-0.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from training.data.files import DataFile, is_whole

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark write for a missing value."""


def with_partitions(table: Any, files: Sequence[DataFile], rows: Sequence[int]) -> Any:
    """The table of all files with a column for each key of their folders, after the others.

    Whole numbers in every file make a column of numbers, anything else text. A column that the files themselves have
    is left as it is.

    Args:
        table: the rows of the files, one file after the other.
        files: where they came from.
        rows: how many of each.
    """
    keys = dict.fromkeys(key for file in files for key, _ in file.partition)
    for key in keys:
        if key in table.column_names:
            continue
        values = [dict(file.partition).get(key) for file in files]
        present = [value for value in values if value not in (None, _NOTHING)]
        kind = pa.int64() if all(is_whole(str(value)) for value in present) else pa.large_string()
        chunks = [_repeated(value, kind, count) for value, count in zip(values, rows, strict=True)]
        table = table.append_column(key, pa.chunked_array(chunks, kind))
    return table


def _repeated(value: str | None, kind: Any, count: int) -> Any:
    if value is None or value == _NOTHING:
        return pa.nulls(count, kind)
    return pa.repeat(pa.scalar(int(value) if pa.types.is_integer(kind) else value, kind), count)
