"""Canonical rows in a Parquet file as a frame: all of them column by column, or evenly spaced ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

ROW_BYTES = 4
"""What a value costs in a frame beyond what it costs in Arrow: texts have a pointer of eight bytes, numbers nothing."""


def whole(file: Any) -> pd.DataFrame:
    """All rows of a pyarrow.parquet.ParquetFile; at most one column is in memory twice."""
    columns = {}
    for name in file.schema_arrow.names:
        columns[name] = _values(file.read(columns=[name]), name)
        pa.default_memory_pool().release_unused()
    return pd.DataFrame(columns, copy=False)


def sampled(file: Any, rows: int) -> pd.DataFrame:
    """So many rows, evenly spaced, in their order; the same file gives the same."""
    total = file.metadata.num_rows
    wanted = np.linspace(0, total - 1, min(rows, total)).astype(np.int64)
    parts, start = [], 0
    for group in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        own = wanted[(wanted >= start) & (wanted < end)] - start
        if len(own):
            parts.append(file.read_row_group(group).take(pa.array(own)))
        start = end
    table = pa.concat_tables(parts)
    return pd.DataFrame({name: _values(table.select([name]), name) for name in table.column_names}, copy=False)


def _values(column: Any, name: str) -> Any:
    return column.to_pandas(coerce_temporal_nanoseconds=False)[name].array
