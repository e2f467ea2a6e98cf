"""The conditions of a spec as expressions of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from training.data.files import DataFile, is_whole
from training.errors import SpecError, nearest
from training.spec.data import Condition

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


def expression(conditions: Sequence[Condition], schema: Any, file: DataFile, field: str) -> Any | None:
    """All conditions on columns of the schema as one expression; None where there are none.

    Those on the names of the file's folders are `admits`' business.

    Raises:
        SpecError: no such column, or a value that its type cannot be compared with.
    """
    inner = [condition for condition in conditions if condition[0] not in dict(file.partition)]
    found = None
    for condition in inner:
        one = _single(condition, schema, field.removesuffix(".uri") + ".filter")
        found = one if found is None else found & one
    return found


def admits(conditions: Sequence[Condition], file: DataFile, field: str) -> bool:
    """Whether the names of a file's folders meet the conditions on them, so that it needs to be read."""
    values = dict(file.partition)
    table = pa.table({name: [_typed(value)] for name, value in values.items()})
    inner = [condition for condition in conditions if condition[0] in values]
    place = field.removesuffix(".uri") + ".filter"
    return all(table.filter(_single(condition, table.schema, place)).num_rows for condition in inner)


def _typed(value: str) -> Any:
    return int(value) if is_whole(value) else value


def _single(condition: Condition, schema: Any, field: str) -> Any:
    name, comparison, value = condition
    if name not in schema.names:
        raise SpecError.at(field, name, f"no such column{nearest(name, schema.names)}")
    kind = schema.field(name).type
    column = pc.field(name)
    many = comparison in {"in", "not in"}
    if many != isinstance(value, list):
        wanted = "a list of values" if many else "one value"
        raise SpecError.at(field, value, f"{comparison!r} compares with {wanted}", hint=f"Give {wanted}.")
    if value is None:
        if comparison not in {"==", "!="}:
            raise SpecError.at(field, None, f"{comparison!r} cannot compare with null", hint="Use == or !=.")
        return column.is_null() if comparison == "==" else column.is_valid()
    try:
        if not isinstance(value, list):
            return _COMPARE[comparison](column, _scalar(value, kind))
        found = column.isin(pa.array([_scalar(one, kind).as_py() for one in value], _plain(kind)))
    except (pa.ArrowException, TypeError, ValueError):
        reason = f"column {name!r} holds {kind}, which cannot be compared with {value!r}"
        raise SpecError.at(field, value, reason, hint="Give a value of the same kind; times in ISO 8601.") from None
    return found if comparison == "in" else ~found


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _scalar(value: Any, kind: Any) -> Any:
    kind = _plain(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if isinstance(value, str) != is_text and not (isinstance(value, str) and pa.types.is_temporal(kind)):
        raise ValueError(f"{value!r} is no {kind}")
    if pa.types.is_integer(kind) and isinstance(value, float):
        return pa.scalar(value, pa.float64())
    return pa.scalar(value).cast(kind)
