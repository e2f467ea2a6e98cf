"""A hash of what a table holds, whatever file it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.data.coded import is_text, uncoded

Chunks = Callable[[], Iterator[Any]]
"""Gives the chunks of a column, each time from the first."""


def content_sha256(table: Any) -> str:
    """SHA-256 of a canonical pyarrow.Table: column names, their order and types, and every value in row order.

    Hashed are, as bytes, a line of JSON [[name, type], …] and [rows], then column by column:

    - numbers: the values, little-endian, NaN as numpy's NaN, a missing value as NaN;
    - booleans: one byte a row, 0, 1, or 2 for missing;
    - times: microseconds since 1970-01-01T00:00:00 as int64, missing as -2**63;
    - text: the lengths in bytes as int32, missing as -1, then all texts one after the other in UTF-8.

    Files, chunks, compression and dictionary encoding do not count. Whole numbers and floats differ: 1 in one file and
    1.0 in another give different hashes, unless a missing value in the column makes both floats.
    """
    digest = _begun(table.schema, table.num_rows)
    for column in table.columns:
        _update(digest, column.type, partial(iter, column.chunks))
    return str(digest.hexdigest())


def file_sha256(file: Any) -> str:
    """The same of the canonical table in a pyarrow.parquet.ParquetFile, of which one column of one row group is in
    memory at a time."""
    schema = file.schema_arrow
    digest = _begun(schema, file.metadata.num_rows)
    for field in schema:
        _update(digest, field.type, partial(_chunks, file, field.name))
    return str(digest.hexdigest())


def _begun(schema: Any, rows: int) -> Any:
    header = [[field.name, str(uncoded(field.type)).removeprefix("large_")] for field in schema]
    digest = hashlib.sha256()
    digest.update(json.dumps([header, rows]).encode() + b"\n")
    return digest


def _chunks(file: Any, name: str) -> Iterator[Any]:
    for group in range(file.metadata.num_row_groups):
        yield from file.read_row_group(group, columns=[name]).column(0).chunks


def _update(digest: Any, kind: Any, chunks: Chunks) -> None:
    if pa.types.is_floating(kind):
        for chunk in chunks():
            values = chunk.to_numpy(zero_copy_only=False)
            missing = np.isnan(values)
            digest.update(
                np.where(missing, values.dtype.type(np.nan), values) if missing.any() else np.ascontiguousarray(values)
            )
    elif is_text(kind):
        _update_text(digest, chunks)
    else:
        for chunk in chunks():
            digest.update(np.ascontiguousarray(_codes(chunk)))


def _codes(chunk: Any) -> Any:
    if pa.types.is_boolean(chunk.type):
        return pc.fill_null(chunk.cast(pa.uint8()), 2).to_numpy(zero_copy_only=False)
    return pc.fill_null(chunk.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)


def _update_text(digest: Any, chunks: Chunks) -> None:
    for chunk in chunks():
        digest.update(np.ascontiguousarray(_lengths(chunk)))
    for chunk in chunks():
        if pa.types.is_dictionary(chunk.type):
            chunk = chunk.dictionary_decode()  # noqa: PLW2901 - of one chunk at a time
        if chunk.null_count:
            chunk = chunk.drop_null()  # noqa: PLW2901 - the bytes below a null are not defined
        if len(chunk) == 0:
            continue
        _, offsets, data = chunk.buffers()
        width = np.int32 if pa.types.is_string(chunk.type) else np.int64
        bounds = np.frombuffer(offsets, dtype=width)[[chunk.offset, chunk.offset + len(chunk)]]
        if data is not None:
            digest.update(memoryview(data)[int(bounds[0]) : int(bounds[1])])


def _lengths(texts: Any) -> Any:
    """Bytes of each text as [n] int32, -1 where it is missing."""
    if pa.types.is_dictionary(texts.type):
        of_codes = np.append(_lengths(texts.dictionary), np.int32(-1))
        return of_codes[pc.fill_null(texts.indices, len(texts.dictionary)).to_numpy(zero_copy_only=False)]
    return pc.fill_null(pc.binary_length(texts).cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
