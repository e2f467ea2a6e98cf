"""Rows of a database that the operator has named."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from training.data.access import DataAccess
from training.data.canonical import canonical
from training.data.connections import OPERATOR, Connection, named, password_of, read_connections
from training.data.sources.base import DataSource
from training.data.sql.arrow_types import settled
from training.data.sql.database import Login, Selection, SqlReader
from training.data.sql.pieces import unified
from training.data.sql.sqlalchemy_reader import SqlAlchemyReader
from training.data.sql.statement import single_select
from training.errors import DataError, UnavailableError
from training.spec import SqlSource

logger = logging.getLogger("training")

ATTEMPTS = 3
"""A server that goes away in the middle is asked again, from the beginning."""
TELL_S = 5.0
"""How often a long read says in the job's log how far it is."""
PAUSE_S = 1.0
"""Before the second attempt; twice as long before the third."""


class SqlRows(DataSource[SqlSource]):
    """Reads a table or the answer of one SELECT, in a read-only transaction with a time limit.

    A table is read with the columns that are wanted, or with all where it lacks one of them; a query says itself what
    it selects.
    """

    def read(
        self, source: SqlSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Any:  # fmt: skip
        """All rows."""
        connection, login, reader = _opened(source, access, field)
        selection = _selection(source, field, columns)
        limit = min(connection.max_rows, source.max_rows or connection.max_rows)
        try:
            table = _patiently(reader, login, selection, limit)
        except DataError:
            if selection.columns is None:
                raise
            table = _patiently(reader, login, replace(selection, columns=None), limit)
        place = f"{field}.{'table' if source.query is None else 'query'}"
        if table.num_rows == 0:
            raise _no_rows(source, place)
        return canonical(settled(table), place)

    def batches(
        self, source: SqlSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Iterator[Any]:  # fmt: skip
        """The rows as the database sends them. A server that goes away in the middle ends it."""
        connection, login, reader = _opened(source, access, field)
        selection = _selection(source, field, columns)
        place = f"{field}.{'table' if source.query is None else 'query'}"
        limit = min(connection.max_rows, source.max_rows or connection.max_rows)
        rows = 0
        for piece in reader.batches(login, selection):
            rows += piece.num_rows
            _check_limit(rows, limit, field)
            if piece.num_rows:
                yield canonical(settled(piece), place, whole=False)
        if not rows:
            raise _no_rows(source, place)

    def size_bytes(self, source: SqlSource, access: DataAccess, field: str) -> int:
        """By the database's own estimate."""
        _, login, reader = _opened(source, access, field)
        return reader.size_bytes(login, _selection(source, field, None))

    def uri(self, source: SqlSource) -> str:
        """The names of the connection and of the table, or the query."""
        return f"sql://{source.connection}/{source.table or '?query=' + str(source.query)}"


def _opened(source: SqlSource, access: DataAccess, field: str) -> tuple[Connection, Login, SqlReader]:
    place = f"{field}.connection"
    known = read_connections(access.connections_file)
    connection: Connection = named(known.connections, source.connection, "connection", place)
    password = password_of(connection, source.connection, access.secret, place)
    try:
        url = make_url(connection.url)
    except ArgumentError:
        reason = f"the URL of the connection {source.connection!r} is none"
        raise UnavailableError.at(place, source.connection, reason, hint=OPERATOR) from None
    if password is not None:
        url = url.set(password=password.get_secret_value())
    login = Login(source.connection, url, connection.statement_timeout_s)
    return connection, login, _reader(login, place)


def _reader(login: Login, field: str) -> SqlReader:
    if login.url.get_backend_name() != "postgresql":
        return SqlAlchemyReader()
    try:
        from training.data.sql.postgres import PostgresReader  # noqa: PLC0415 - drivers of an extra
    except ImportError:
        hint = "The operator installs model-training-service[postgres]."
        raise UnavailableError.at(field, login.name, "the PostgreSQL drivers are not installed", hint=hint) from None
    return PostgresReader()


def _selection(source: SqlSource, field: str, columns: Sequence[str] | None) -> Selection:
    query = None if source.query is None else single_select(source.query, field)
    return Selection(source, query, columns, field)


def _patiently(reader: SqlReader, login: Login, selection: Selection, limit: int) -> Any:
    for attempt in range(1, ATTEMPTS):
        try:
            return _collected(reader, login, selection, limit)
        except UnavailableError as error:
            logger.warning("%s; attempt %s of %s follows", error.message, attempt + 1, ATTEMPTS)
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
    return _collected(reader, login, selection, limit)


def _collected(reader: SqlReader, login: Login, selection: Selection, limit: int) -> Any:
    pieces, rows, told_at = [], 0, time.monotonic()
    for piece in reader.batches(login, selection):
        pieces.append(piece)
        rows += piece.num_rows
        if time.monotonic() - told_at > TELL_S:
            logger.info("%s rows read so far", f"{rows:,}")
            told_at = time.monotonic()
        _check_limit(rows, limit, selection.field)
    return unified(pieces)


def _check_limit(rows: int, limit: int, field: str) -> None:
    if rows > limit:
        hint = "Select fewer rows, or ask the operator for a higher limit."
        raise DataError.at(field, limit, f"more than {limit:,} rows", hint=hint)


def _no_rows(source: SqlSource, place: str) -> DataError:
    hint = "Correct the table or the query's conditions."
    return DataError.at(place, source.query or source.table, "the answer has no rows", hint=hint)
