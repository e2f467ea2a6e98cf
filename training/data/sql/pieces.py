"""One type for each column of an answer that came in pieces."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from training.data.labels import class_label


def unified(pieces: list[Any]) -> Any:
    """The pieces as one pyarrow.Table.

    A driver of Python values knows a type only by the values of each piece: whole and other numbers become float64,
    other differing types text.
    """
    first = pieces[0]
    if all(piece.schema.equals(first.schema) for piece in pieces):
        return pa.concat_tables(pieces)
    columns = [_joined([piece.column(place) for piece in pieces]) for place in range(first.num_columns)]
    return pa.table(columns, names=first.column_names)


def _joined(parts: list[Any]) -> Any:
    kinds = {part.type for part in parts if part.null_count < len(part)}
    if not kinds:
        return pa.chunked_array([pa.nulls(sum(map(len, parts)))])
    if len(kinds) == 1:
        kind = kinds.pop()
    elif all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        kind = pa.float64()
    else:
        kind = pa.string()
    return pa.chunked_array([chunk for part in parts for chunk in _cast(part, kind).chunks], kind)


def _cast(part: Any, kind: Any) -> Any:
    if part.null_count == len(part):
        return pa.chunked_array([pa.nulls(len(part), kind)])
    if pa.types.is_string(kind) and not pa.types.is_string(part.type):
        labels = [None if value is None else class_label(value) for value in part.to_pylist()]
        return pa.chunked_array([pa.array(labels, kind)])
    return part.cast(kind, safe=False)
