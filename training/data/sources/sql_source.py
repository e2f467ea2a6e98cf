"""Rows of a database that the operator has named."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyarrow import parquet

from training.data.access import DataAccess
from training.data.connections import OPERATOR, Connection, named, password_of, read_connections
from training.data.sources.base import DataSource
from training.data.sql.database import Login, Selection, SqlReader
from training.data.sql.statement import single_select
from training.data.streaming import Piece, gather
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
        """All rows, in memory."""
        with tempfile.TemporaryDirectory(prefix="mts-rows-") as folder:
            found = gather(self.pieces(source, access, field, columns), Path(folder), self.place(source, field))
            return found.table if found.file is None else parquet.read_table(found.file)

    def pieces(
        self, source: SqlSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None]:  # fmt: skip
        """As the driver gives them; from the beginning again where the server goes away in the middle."""
        connection, login, reader = _opened(source, access, field)
        selection = _selection(source, field, columns)
        limit = min(connection.max_rows, source.max_rows or connection.max_rows)
        try:
            rows = yield from _patiently(reader, login, selection, limit)
        except DataError:
            if selection.columns is None:
                raise
            yield Piece("", None)
            rows = yield from _patiently(reader, login, replace(selection, columns=None), limit)
        if not rows:
            hint = "Correct the table or the query's conditions."
            place = self.place(source, field)
            raise DataError.at(place, source.query or source.table, "the answer has no rows", hint=hint)

    def place(self, source: SqlSource, field: str) -> str:
        """The part of the spec that says which rows."""
        return f"{field}.{'table' if source.query is None else 'query'}"

    def size_bytes(self, source: SqlSource, access: DataAccess, field: str) -> int:
        """By the database's own estimate."""
        _, login, reader = _opened(source, access, field)
        return reader.size_bytes(login, _selection(source, field, None))

    def uri(self, source: SqlSource) -> str:
        """The names of the connection and of the table, or the query."""
        return f"sql://{source.connection}/{source.table or '?query=' + str(source.query)}"


def _opened(source: SqlSource, access: DataAccess, field: str) -> tuple[Connection, Login, SqlReader]:
    # SQLAlchemy takes as long to import as pandas, for which the processes of workers must not wait
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

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
        from training.data.sql.sqlalchemy_reader import SqlAlchemyReader  # noqa: PLC0415 - as above

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


def _patiently(
    reader: SqlReader, login: Login, selection: Selection, limit: int
) -> Generator[Piece, None, int]:  # fmt: skip
    """The pieces, and at the end the number of rows."""
    for attempt in range(1, ATTEMPTS):
        try:
            return (yield from _read(reader, login, selection, limit))
        except UnavailableError as error:
            logger.warning("%s; attempt %s of %s follows", error.message, attempt + 1, ATTEMPTS)
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
            yield Piece("", None)
    return (yield from _read(reader, login, selection, limit))


def _read(reader: SqlReader, login: Login, selection: Selection, limit: int) -> Generator[Piece, None, int]:
    expected = reader.expected_rows(login, selection)
    rows, told_at = 0, time.monotonic()
    with closing(reader.batches(login, selection)) as pieces:
        for piece in pieces:
            rows += piece.num_rows
            if time.monotonic() - told_at > TELL_S:
                logger.info("%s rows read so far", f"{rows:,}")
                told_at = time.monotonic()
            if rows > limit:
                hint = "Select fewer rows, or ask the operator for a higher limit."
                raise DataError.at(selection.field, limit, f"more than {limit:,} rows", hint=hint)
            yield Piece("", piece, None if not expected else min(rows / expected, 1.0))
    return rows
