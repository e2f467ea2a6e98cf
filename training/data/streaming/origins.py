"""Columns of one name that come from several files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from training.errors import DataError, nearest


def check_same_columns(first: tuple[str, list[str]], other: tuple[str, list[str]], field: str) -> None:
    """Each given by its label and its columns.

    Raises:
        DataError: names a column that one of the two lacks.
    """
    odd = sorted(set(first[1]) ^ set(other[1]))
    if odd:
        lacking, known = (other[0], other[1]) if odd[0] in first[1] else (first[0], first[1])
        reason = f"{lacking} has no column {odd[0]!r}, which other files have{nearest(odd[0], known)}"
        raise DataError.at(field, odd[0], reason, hint="Give all files the same columns.")


def common_type(name: str, filled: Sequence[tuple[str, Any]], parts: int, field: str) -> Any:
    """The type for all files; where a column is whole in one and has fractions or is empty in another, the wider.

    Args:
        name: of the column.
        filled: label and canonical type of each file in which the column has a value; at least one.
        parts: number of all files.
        field: where the spec names them, for messages.

    Raises:
        DataError: text in one file and numbers in another.
    """
    (one, first), *rest = filled
    kinds = {first, *(kind for _, kind in rest)}
    if len(kinds) == 1:
        return pa.float64() if pa.types.is_integer(first) and len(filled) < parts else first
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds):
        return pa.large_string()
    other, second = next((label, kind) for label, kind in rest if kind != first)
    reason = f"column {name!r} holds {first} in {one} and {second} in {other}"
    raise DataError.at(field, name, reason, hint="Write the column in the same way in all files.")


def widened(part: Any, kind: Any, name: str, field: str) -> Any:
    """The column of a file (pyarrow.ChunkedArray) in the common type.

    Raises:
        DataError: whole numbers that float64 does not hold exactly.
    """
    if part.null_count == len(part):
        return pa.chunked_array([pa.nulls(len(part), kind)])
    try:
        return part if part.type == kind else part.cast(kind)
    except pa.ArrowInvalid:
        reason = f"column {name!r} is whole in one file and not in another, and some numbers are too long for float64"
        raise DataError.at(field, name, reason, hint="Write long identifiers as text in all files.") from None
