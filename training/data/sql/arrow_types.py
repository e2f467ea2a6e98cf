"""The types that a database driver answers, as types that `canonical` knows."""

from __future__ import annotations

from binascii import hexlify
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WHOLE = r"^-?\d+$"
_UUID_BYTES, _UUID_CHARS = 16, 36
_DASHES = (8, 13, 18, 23)


def settled(table: Any) -> Any:
    """The whole table with plain types.

    PostgreSQL's NUMERIC, which ADBC answers as text, becomes int64 (or text, where that is too short) if every value
    is whole, else float64. UUID and JSON become text. Bytes, intervals and other values that are no scalars stay as
    they are: `canonical` refuses them by name.
    """
    columns = [_settled(field.type, column) for field, column in zip(table.schema, table.columns, strict=True)]
    return pa.table(columns, names=table.column_names)


def _settled(kind: Any, column: Any) -> Any:
    if not isinstance(kind, pa.BaseExtensionType):
        return column
    if isinstance(kind, pa.UuidType):
        return pa.chunked_array([_uuid_text(chunk.storage) for chunk in column.chunks], pa.large_string())
    stored = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
        return _number(stored)
    return stored


def _number(texts: Any) -> Any:
    if not pc.all(pc.match_substring_regex(texts, _WHOLE)).as_py():
        return texts.cast(pa.float64())
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts


def _uuid_text(chunk: Any) -> Any:
    """8-4-4-4-12 hexadecimal digits."""
    missing = np.asarray(chunk.is_null())
    raw = pc.fill_null(chunk, bytes(_UUID_BYTES)).buffers()[1]
    start = chunk.offset if chunk.null_count == 0 else 0
    digits = np.frombuffer(hexlify(memoryview(raw)), np.uint8).reshape(-1, 2 * _UUID_BYTES)[start : start + len(chunk)]
    text = np.full((len(chunk), _UUID_CHARS), ord("-"), np.uint8)
    text[:, [place for place in range(_UUID_CHARS) if place not in _DASHES]] = digits
    offsets = np.arange(len(chunk) + 1, dtype=np.int64) * _UUID_CHARS
    whole = pa.LargeStringArray.from_buffers(len(chunk), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))
    return pc.if_else(pa.array(missing), None, whole) if missing.any() else whole
