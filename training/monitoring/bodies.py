"""From the bytes of a batch to columns of raw values: JSON lines, JSON, Arrow streams and Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from training.errors import shown
from training.monitoring.errors import BatchTooLargeError, BodyError

MAX_ROWS = 100_000
"""Rows of one batch."""
JSON_LINES = frozenset(
    {"application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines"}
)
JSON = frozenset({"application/json"})
ARROW = frozenset({"application/vnd.apache.arrow.stream"})
PARQUET = frozenset({"application/vnd.apache.parquet", "application/x-parquet"})
BODY_TYPES = (*sorted(JSON_LINES), *sorted(JSON), *sorted(ARROW), *sorted(PARQUET))


@dataclass(frozen=True)
class RawRows:
    """Columns of raw values, each [n]. `nested`: objects of which one column is made for each name in them, such as
    the features of a JSON row."""

    rows: int
    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return self.rows

    def get(self, name: str) -> Sequence[Any] | None:
        """A column; None where there is none."""
        return self.columns.get(name)


def read_rows(body: bytes, content_type: str, nested: Sequence[str]) -> RawRows:
    """Reads a batch.

    Args:
        body: of the request.
        content_type: one of BODY_TYPES.
        nested: fields whose members become columns "FIELD.MEMBER".

    Raises:
        BodyError: it cannot be read, is cut off, or holds no row.
        BatchTooLargeError: more than MAX_ROWS rows.
    """
    if content_type in JSON_LINES:
        rows = _from_objects(_json_lines(body), nested)
    elif content_type in JSON:
        rows = _from_objects(_json_rows(body), nested)
    elif content_type in ARROW:
        rows = _from_table(_arrow(body), nested)
    else:
        rows = _from_table(_parquet(body), nested)
    if not len(rows):
        raise BodyError("the batch holds no row", hint="Send at least one row.")
    return rows


def _check_size(rows: int) -> None:
    if rows > MAX_ROWS:
        raise BatchTooLargeError(
            f"the batch has {rows:,} rows, and may have {MAX_ROWS:,}", hint="Send it in several requests."
        )


def _json_lines(body: bytes) -> list[Any]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_size(len(lines))
    objects = []
    for number, line in enumerate(lines, start=1):
        objects.append(_parsed(line, f"line {number}"))
    return objects


def _json_rows(body: bytes) -> list[Any]:
    found = _parsed(body, "the body")
    if isinstance(found, dict) and isinstance(found.get("rows"), list):
        found = found["rows"]
    rows = found if isinstance(found, list) else [found]
    _check_size(len(rows))
    return rows


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        hint = "Send the whole batch again: nothing of it was kept."
        raise BodyError(f"{where} is not JSON: {error.msg} at column {error.colno}", hint=hint) from None
    except UnicodeDecodeError as error:
        raise BodyError(f"{where} is not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise BodyError(f"{where} is nested too deep") from None


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"{name} is not a JSON number", hint="Write null where a value is missing.")


def _from_objects(objects: list[Any], nested: Sequence[str]) -> RawRows:
    for index, row in enumerate(objects):
        if not isinstance(row, dict):
            raise BodyError(f"rows[{index}] is {shown(row)!r}, not an object with fields")
    columns: dict[str, Sequence[Any]] = {}
    for name in dict.fromkeys(name for row in objects for name in row):
        values = [row.get(name) for row in objects]
        if name in nested and any(isinstance(value, dict) for value in values):
            columns |= _members(name, values)
        else:
            columns[name] = values
    return RawRows(len(objects), columns)


def _members(name: str, values: list[Any]) -> dict[str, Sequence[Any]]:
    for index, value in enumerate(values):
        if value is not None and not isinstance(value, dict):
            raise BodyError(f"rows[{index}].{name} is {shown(value)!r}, and in other rows an object")
    objects = [value or {} for value in values]
    names = dict.fromkeys(member for row in objects for member in row)
    return {f"{name}.{member}": [row.get(member) for row in objects] for member in names}


def _arrow(body: bytes) -> Any:
    return _table(lambda: pa.ipc.open_stream(body).read_all(), "an Arrow stream")


def _parquet(body: bytes) -> Any:
    def read() -> Any:
        file = pq.ParquetFile(io.BytesIO(body))
        _check_size(file.metadata.num_rows)
        return file.read()

    return _table(read, "a Parquet file")


def _table(read: Callable[[], Any], what: str) -> Any:
    try:
        table = read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "Send the whole batch again: nothing of it was kept."
        raise BodyError(f"the body is no whole {what.split(maxsplit=1)[1]}: {reason}", hint=hint) from None
    _check_size(table.num_rows)
    return table


def _from_table(table: Any, nested: Sequence[str]) -> RawRows:
    columns: dict[str, Sequence[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_struct(column.type) and name in nested:
            for part, field in zip(column.combine_chunks().flatten(), column.type, strict=True):
                columns[f"{name}.{field.name}"] = _plain(part)
        else:
            columns[name] = _plain(column)
    return RawRows(table.num_rows, columns)


def _plain(column: Any) -> Sequence[Any]:
    """Arrow's own array where its type is plain, else Python values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind):
        values: Sequence[Any] = column
        return values
    listed: list[Any] = column.to_pylist()
    return listed
