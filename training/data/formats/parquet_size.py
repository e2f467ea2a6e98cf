"""How large the values of a Parquet file are in memory, which its size on disk does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
from pyarrow import parquet

WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a value as it is in memory."""
OFFSET_BYTES = 4
"""Of each text, beside its characters."""
SMALL_BYTES = 16 * 2**20
"""A column that cannot be larger is not looked into."""
LOOK_BYTES = 65_536
"""How much is read at once of the chunk that is looked into."""


@dataclass(frozen=True)
class DecodedSize:
    """About how large a file is in memory; no less than that, but where a text is very long in a few rows only."""

    rows: int
    nbytes: int
    largest_group_bytes: int

    def rows_within(self, nbytes: int) -> int:
        """How many rows of average size take so much, at least one."""
        return max(1, nbytes * max(1, self.rows) // max(1, self.nbytes))


def decoded_size(source: Any, metadata: Any) -> DecodedSize:
    """The size of all values, by the footer, and by the longest text of what is stored as codes.

    A footer counts a text that is stored as a code once, however many rows have it. Of each such column the chunk with
    the most different bytes is looked into.

    Args:
        source: the file, opened.
        metadata: its footer.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes = [0] * len(groups)
    for place in range(metadata.num_columns):
        chunks = [group.column(place) for group in groups]
        for number, size in enumerate(_sizes(source, metadata, chunks)):
            sizes[number] += size
    return DecodedSize(metadata.num_rows, sum(sizes), max(sizes, default=0))


def _sizes(source: Any, metadata: Any, chunks: list[Any]) -> list[int]:
    """Of one column, by row group."""
    width = WIDTHS.get(chunks[0].physical_type) if chunks else None
    if width is not None:
        return [width * chunk.num_values for chunk in chunks]
    stored = [chunk.total_uncompressed_size for chunk in chunks]
    longest = 0
    if any(chunk.has_dictionary_page for chunk in chunks):
        longest = max(stored)
        if longest * sum(chunk.num_values for chunk in chunks) > SMALL_BYTES:
            longest = _longest(source, metadata, stored.index(longest), chunks[0].path_in_schema)
    return [max(size, (OFFSET_BYTES + longest) * chunk.num_values) for size, chunk in zip(stored, chunks, strict=True)]


def _longest(source: Any, metadata: Any, group: int, column: str) -> int:
    """Bytes of the longest text among the codes of a chunk; 0 of what is no text of its own, such as a list."""
    opened = parquet.ParquetFile(
        source, metadata=metadata, pre_buffer=False, buffer_size=LOOK_BYTES, read_dictionary=[column]
    )
    if column not in opened.schema_arrow.names:
        return 0
    batch = next(opened.iter_batches(batch_size=1, row_groups=[group], columns=[column]), None)
    codes = None if batch is None else batch.column(0)
    if codes is None or not hasattr(codes, "dictionary"):
        return 0
    return int(pc.max(pc.binary_length(codes.dictionary)).as_py() or 0)
