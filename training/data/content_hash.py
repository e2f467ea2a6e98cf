"""A hash of what a table holds, whatever file it came from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


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
    digest = hashlib.sha256()
    header = [
        [name, str(kind).removeprefix("large_")]
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
    ]
    digest.update(json.dumps([header, table.num_rows]).encode() + b"\n")
    for column in table.columns:
        _update(digest, column)
    return digest.hexdigest()


def _update(digest: Any, column: Any) -> None:
    kind = column.type
    if pa.types.is_floating(kind):
        for chunk in column.chunks:
            values = chunk.to_numpy(zero_copy_only=False)
            missing = np.isnan(values)
            digest.update(
                np.where(missing, values.dtype.type(np.nan), values) if missing.any() else np.ascontiguousarray(values)
            )
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _update_text(digest, column)
    else:
        for chunk in column.chunks:
            digest.update(np.ascontiguousarray(_codes(chunk)))


def _codes(chunk: Any) -> Any:
    if pa.types.is_boolean(chunk.type):
        return pc.fill_null(chunk.cast(pa.uint8()), 2).to_numpy(zero_copy_only=False)
    return pc.fill_null(chunk.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)


def _update_text(digest: Any, column: Any) -> None:
    for chunk in column.chunks:
        digest.update(pc.fill_null(pc.binary_length(chunk).cast(pa.int32()), -1).to_numpy(zero_copy_only=False))
    for chunk in column.chunks:
        if chunk.null_count:
            chunk = chunk.drop_null()  # noqa: PLW2901 - the bytes below a null are not defined
        if len(chunk) == 0:
            continue
        _, offsets, data = chunk.buffers()
        width = np.int32 if pa.types.is_string(chunk.type) else np.int64
        bounds = np.frombuffer(offsets, dtype=width)[[chunk.offset, chunk.offset + len(chunk)]]
        if data is not None:
            digest.update(memoryview(data)[int(bounds[0]) : int(bounds[1])])
