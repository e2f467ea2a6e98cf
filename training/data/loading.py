"""From the `source` part of a spec to a table of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from training.data.access import DataAccess
from training.data.coded import decoded, with_texts
from training.data.content_hash import content_sha256, file_sha256
from training.data.sources import SOURCES
from training.data.streaming import Gathered, gather
from training.data.streaming.gathered import Told
from training.data.streaming.stored_frame import ROW_BYTES, sampled, whole
from training.data.table import Dataset
from training.result import FeatureStoreUse
from training.spec import Source

_LARGE_BYTES = 64 * 2**20
"""From this size on each column is converted and freed on its own, so that the peak is one table and one column."""
_THREADS_BYTES = 2**20
BATCH_ROWS = 65_536
SAMPLE_ROWS, LEAST_SAMPLE_ROWS = 200_000, 1_000
"""What is looked at of rows that memory does not hold; of few rows the checks could not tell anything."""


Keep = Callable[[Any, str, str], str]
"""Keeps canonical rows, given as a table or as the path of a file, with their hash and their URI, before they become a
frame; answers where."""


def load(
    source: Source,
    access: DataAccess,
    *,
    field: str = "data.source",
    columns: Sequence[str] | None = None,
    keep: Keep | None = None,
    told: Told | None = None,
    frame_bytes: int | None = None,
) -> Dataset:
    """Reads all rows of a source. Large ones are streamed: what is in memory then is the frame and one column of it.

    Args:
        source: where the rows are.
        access: what the operator allows.
        field: dotted path of `source` in the spec, for messages.
        columns: what the caller needs; None for all. There may be more.
        keep: is given the rows, to make a snapshot of them.
        told: hears of progress where a source is read in pieces; what it raises ends the reading.
        frame_bytes: a frame that would be larger holds evenly spaced rows only; None for no limit.

    Raises:
        AccessError: the operator does not allow that source.
        DataError: the rows cannot be read.
    """
    reader = SOURCES[source.type]
    uri = reader.uri(source)
    pieces = reader.pieces(source, access, field, columns)
    if pieces is None:
        return _from_table(reader.read(source, access, field, columns), uri, keep)
    with tempfile.TemporaryDirectory(prefix="mts-rows-") as folder, closing(pieces):
        found = gather(pieces, Path(folder), reader.place(source, field), told)
        if found.table is not None:
            return _from_table(found.table, uri, keep, found.feature_store)
        return _from_file(found, uri, keep, frame_bytes)


def batches(
    source: Source, access: DataAccess, *, field: str = "data.source", columns: Sequence[str] | None = None
) -> Generator[Any, None, None]:
    """The same rows in the same order as canonical Arrow tables of some megabytes, which all have one schema.

    What is too large for memory lies on disk until the generator is closed. Raises as `load` does.
    """
    reader = SOURCES[source.type]
    pieces = reader.pieces(source, access, field, columns)
    if pieces is None:
        yield from _slices(decoded(reader.read(source, access, field, columns)))
        return
    with tempfile.TemporaryDirectory(prefix="mts-rows-") as folder, closing(pieces):
        found = gather(pieces, Path(folder), reader.place(source, field))
        if found.table is not None:
            yield from _slices(found.table)
            return
        with parquet.ParquetFile(found.file) as file:
            for group in range(file.metadata.num_row_groups):
                yield from _slices(file.read_row_group(group))


def _slices(table: Any) -> Iterator[Any]:
    for start in range(0, table.num_rows, BATCH_ROWS):
        yield table.slice(start, BATCH_ROWS)


def size_bytes(source: Source, access: DataAccess, *, field: str = "data.source") -> int:
    """About how large a source is, without reading it; raises as `load` does for what is missing or not allowed."""
    return SOURCES[source.type].size_bytes(source, access, field)


def _from_table(table: Any, uri: str, keep: Keep | None, use: bytes | None = None) -> Dataset:
    table = table.replace_schema_metadata(None)
    large = table.nbytes >= _LARGE_BYTES
    if large:
        pa.default_memory_pool().release_unused()  # what the parser used; the fit will need it
    sha256 = content_sha256(table)
    snapshot = "" if keep is None else keep(table, sha256, uri)
    tables = [table]
    del table
    return Dataset(_frame(tables, large=large), sha256, uri, snapshot, _use_of(use))


def _from_file(found: Gathered, uri: str, keep: Keep | None, frame_bytes: int | None) -> Dataset:
    use = _use_of(found.feature_store)
    with parquet.ParquetFile(found.file) as file:
        sha256 = file_sha256(file)
        snapshot = "" if keep is None else keep(found.file, sha256, uri)
        size = found.nbytes + ROW_BYTES * found.rows * len(file.schema_arrow)
        if frame_bytes is None or size <= frame_bytes:
            return Dataset(whole(file), sha256, uri, snapshot, use)
        frame = sampled(file, min(SAMPLE_ROWS, max(LEAST_SAMPLE_ROWS, found.rows * frame_bytes // size)))
        return Dataset(frame, sha256, uri, snapshot, use, sampled_from=found.rows, whole_bytes=size)


def _use_of(use: bytes | None) -> FeatureStoreUse | None:
    return None if use is None else FeatureStoreUse.model_validate_json(use)


def _frame(tables: list[Any], *, large: bool) -> pd.DataFrame:
    """Turns the only element of a list into a frame, and frees it column by column as it goes."""
    table = tables.pop()
    if not large:
        # to hand a few rows to another thread takes longer than to turn them
        threads = table.nbytes >= _THREADS_BYTES
        small: pd.DataFrame = decoded(table).to_pandas(coerce_temporal_nanoseconds=False, use_threads=threads)
        return small
    frame = table.to_pandas(split_blocks=True, self_destruct=True, coerce_temporal_nanoseconds=False)
    del table
    pa.default_memory_pool().release_unused()
    return with_texts(frame)
