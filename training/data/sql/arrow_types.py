"""The types that drivers and files answer, as types that `canonical` knows."""

from __future__ import annotations

from binascii import hexlify
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WHOLE = r"^-?\d+$"
_UUID_BYTES, _UUID_CHARS = 16, 36
_DASHES = (8, 13, 18, 23)


def plain(column: Any) -> Any:
    """A column (pyarrow.ChunkedArray) of a type that `canonical` knows.

    UUID and JSON become text, dictionaries their values. PostgreSQL's NUMERIC, which ADBC answers as text, keeps its
    type: whether it is whole, only all of its values say. Bytes, intervals and other values that are no scalars stay
    as they are, and are refused by name.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if not isinstance(kind, pa.BaseExtensionType):
        return column
    if isinstance(kind, pa.UuidType):
        return pa.chunked_array([_uuid_text(chunk.storage) for chunk in column.chunks], pa.large_string())
    return column if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric" else stored(column)


def stored(column: Any) -> Any:
    """The values below a type that Arrow does not know."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def whole_texts(texts: Any) -> bool:
    """Whether all texts that are there are whole numbers."""
    return pc.all(pc.match_substring_regex(texts, _WHOLE)).as_py() is not False


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
