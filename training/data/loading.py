"""From the `source` part of a spec to a table of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from training.data.access import DataAccess
from training.data.content_hash import content_sha256
from training.data.sources import SOURCES
from training.data.sources.feast_source import USE_KEY
from training.data.table import Dataset
from training.result import FeatureStoreUse
from training.spec import Source

_LARGE_BYTES = 64 * 2**20
"""From this size on each column is converted and freed on its own, so that the peak is one table and one column."""


Keep = Callable[[Any, str, str], str]
"""Keeps a canonical table, given with its hash and its URI, before it becomes a frame; answers where."""


def load(
    source: Source,
    access: DataAccess,
    *,
    field: str = "data.source",
    columns: Sequence[str] | None = None,
    keep: Keep | None = None,
) -> Dataset:
    """Reads all rows of a source.

    Args:
        source: where the rows are.
        access: what the operator allows.
        field: dotted path of `source` in the spec, for messages.
        columns: what the caller needs; None for all. There may be more.
        keep: is given the rows, to make a snapshot of them.

    Raises:
        AccessError: the operator does not allow that source.
        DataError: the rows cannot be read.
    """
    reader = SOURCES[source.type]
    table = reader.read(source, access, field, columns)
    found = (table.schema.metadata or {}).get(USE_KEY)
    feature_store = None if found is None else FeatureStoreUse.model_validate_json(found)
    table = table.replace_schema_metadata(None)
    large = table.nbytes >= _LARGE_BYTES
    if large:
        pa.default_memory_pool().release_unused()  # what the parser used; the fit will need it
    sha256 = content_sha256(table)
    uri = reader.uri(source)
    snapshot = "" if keep is None else keep(table, sha256, uri)
    tables = [table]
    del table
    return Dataset(
        frame=_frame(tables, large=large), sha256=sha256, uri=uri, snapshot=snapshot, feature_store=feature_store
    )


def batches(
    source: Source, access: DataAccess, *, field: str = "data.source", columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """The same rows in the same order as Arrow tables of some megabytes, for data that need not fit into memory.

    Raises as `load` does, and later: when the piece is read in which something is wrong. See `DataSource.batches` for
    what may differ in a piece.
    """
    yield from SOURCES[source.type].batches(source, access, field, columns)


def size_bytes(source: Source, access: DataAccess, *, field: str = "data.source") -> int:
    """About how large a source is, without reading it; raises as `load` does for what is missing or not allowed."""
    return SOURCES[source.type].size_bytes(source, access, field)


def _frame(tables: list[Any], *, large: bool) -> pd.DataFrame:
    """Turns the only element of a list into a frame, and frees it column by column as it goes."""
    table = tables.pop()
    frame: pd.DataFrame = table.to_pandas(split_blocks=large, self_destruct=large, coerce_temporal_nanoseconds=False)
    if large:
        del table
        pa.default_memory_pool().release_unused()
    return frame
