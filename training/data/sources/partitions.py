"""Columns that the names of folders say: `year=2024/month=5/part-0.parquet`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        kind = _kind(values)
        chunks = [_repeated(value, kind, count) for value, count in zip(values, rows, strict=True)]
        table = table.append_column(key, pa.chunked_array(chunks, kind))
    return table


def partition_columns(files: Sequence[DataFile]) -> dict[str, Any]:
    """The keys of all folders, with the type of the column that each makes."""
    keys = dict.fromkeys(key for file in files for key, _ in file.partition)
    return {key: _kind([dict(file.partition).get(key) for file in files]) for key in keys}


def with_partition(table: Any, file: DataFile, columns: Mapping[str, Any]) -> Any:
    """Some rows of one file with the columns that `partition_columns` of all files gave."""
    for key, kind in columns.items():
        if key not in table.column_names:
            table = table.append_column(key, _repeated(dict(file.partition).get(key), kind, table.num_rows))
    return table


def _kind(values: Sequence[str | None]) -> Any:
    present = [value for value in values if value not in (None, _NOTHING)]
    return pa.int64() if all(is_whole(str(value)) for value in present) else pa.large_string()


def _repeated(value: str | None, kind: Any, count: int) -> Any:
    if value is None or value == _NOTHING:
        return pa.nulls(count, kind)
    return pa.repeat(pa.scalar(int(value) if pa.types.is_integer(kind) else value, kind), count)
