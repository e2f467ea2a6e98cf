"""Canonical tables in Parquet, as snapshots are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from training.data.coded import is_text

ROWS_PER_GROUP = 131_072
BYTES_PER_GROUP = 256 * 2**20
"""Of rows with long texts there are fewer in a group, for a group is in memory as a whole."""


def write_rows(tables: Iterable[Any], schema: Any, stream: Any) -> None:
    """Writes tables of one schema into a file, in groups of ROWS_PER_GROUP rows or about BYTES_PER_GROUP, whatever
    sizes they have."""
    # dictionaries of numbers cost four times as much as the rest, and statistics serve no reader of whole snapshots
    texts = [one.name for one in schema if is_text(one.type)]
    with parquet.ParquetWriter(
        stream,
        schema,
        compression="zstd",
        compression_level=1,
        write_statistics=False,
        use_dictionary=texts,
        # whether texts were held as codes is not for a reader to know; all other types need no telling
        store_schema=not any(pa.types.is_dictionary(kind) for kind in schema.types),
    ) as writer:
        for group in _regrouped(tables):
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)


def _regrouped(tables: Iterable[Any]) -> Iterator[Any]:
    """Whole groups, one or more at once, and the rest."""
    held: list[Any] = []
    rows = nbytes = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        nbytes += table.nbytes
        if nbytes >= BYTES_PER_GROUP and rows < ROWS_PER_GROUP:
            yield pa.concat_tables(held)
            held, rows, nbytes = [], 0, 0
        if rows >= ROWS_PER_GROUP:
            joined = pa.concat_tables(held)
            whole = rows - rows % ROWS_PER_GROUP
            yield joined.slice(0, whole)
            held, rows = [joined.slice(whole)], rows - whole
            nbytes = held[0].nbytes
    if rows:
        yield pa.concat_tables(held)
