"""Any other database that SQLAlchemy has a driver for; SQLite with its file opened for reading only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa

from training.data.formats.records import table_of
from training.data.sql import database
from training.data.sql.database import Login, Selection, SqlReader
from training.data.sql.statement import bound
from training.errors import TrainingError

ROWS_PER_BATCH = 50_000
_STEPS_BETWEEN_LOOKS = 10_000
"""Of SQLite's machine, between two looks at the clock: some 0.1 ms."""
_UNKNOWN_BYTES = 2**50
"""More than anybody checks before the job starts."""


class SqlAlchemyReader(SqlReader):
    """Streams rows. SQLite cannot be written to; of another database the connection's user should only read."""

    def batches(self, login: Login, selection: Selection) -> Generator[Any, None, None]:
        """The rows, in the order of the database's cursor."""
        with _connected(login, selection) as connection:
            statement, values = _statement(connection.dialect, selection)
            answer = connection.execution_options(stream_results=True).exec_driver_sql(statement, values)
            names = list(answer.keys())
            yield pa.table([pa.nulls(0)] * len(names), names=names)
            while rows := answer.fetchmany(ROWS_PER_BATCH):
                yield _table(names, rows, selection.field)

    def size_bytes(self, login: Login, selection: Selection) -> int:
        """SQLite: of its file, once the statement is understood. Others: unknown, that is, large."""
        with _connected(login, selection) as connection:
            if connection.dialect.name != "sqlite":
                return _UNKNOWN_BYTES
            statement, values = _statement(connection.dialect, selection)
            connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        return Path(str(login.url.database)).stat().st_size


def _table(names: list[str], rows: Any, field: str) -> Any:
    # by position, for two columns may have one name, which is refused later with a better message
    places = [str(position) for position in range(len(names))]
    table = table_of([dict(zip(places, row, strict=True)) for row in rows], field)
    return table.rename_columns(names)


def _statement(dialect: sa.Dialect, selection: Selection) -> tuple[str, Any]:
    source = selection.source
    if selection.query is None:
        quoted = dialect.identifier_preparer.quote
        columns = "*" if selection.columns is None else ", ".join(map(quoted, selection.columns))
        table = ".".join(map(quoted, str(source.table).split(".")))
        return f"SELECT {columns} FROM {table}", {}  # noqa: S608 - quoted by the dialect
    order: list[str] = []

    def place(name: str) -> str:
        order.append(name)
        return {"named": f":{name}", "pyformat": f"%({name})s", "format": "%s"}.get(dialect.paramstyle, "?")

    query = selection.query.replace("%", "%%") if dialect.paramstyle in {"pyformat", "format"} else selection.query
    text = bound(query, source.parameters, place, selection.field)
    if dialect.paramstyle in {"named", "pyformat"}:
        return text, dict(source.parameters)
    return text, tuple(source.parameters[name] for name in order)


@contextmanager
def _connected(login: Login, selection: Selection) -> Iterator[sa.Connection]:
    options: dict[str, Any] = {}
    if login.url.get_backend_name() == "sqlite":
        options["creator"] = lambda: _sqlite(login)
    engine = sa.create_engine(login.url, poolclass=sa.NullPool, hide_parameters=True, **options)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise _translated(login, selection, error) from None
    finally:
        engine.dispose()


def _sqlite(login: Login) -> sqlite3.Connection:
    path = Path(str(login.url.database)).resolve()
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10)
    connection.execute("PRAGMA query_only = ON")
    deadline = time.monotonic() + login.timeout_s
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS)
    return connection


def _translated(login: Login, selection: Selection, error: sa.exc.DBAPIError) -> TrainingError:
    reason = login.scrubbed(str(error.orig)).strip().splitlines()[0]
    signs = {
        "interrupted": database.too_slow(login, selection),
        "readonly": database.would_write(selection),
        "unable to open": database.away(login, selection, reason),
        "locked": database.away(login, selection, reason),
        "denied": database.login_refused(login, selection),
    }
    known = next((found for sign, found in signs.items() if sign in reason.lower()), None)
    if known is not None:
        return known
    lost = error.connection_invalidated or isinstance(error, sa.exc.OperationalError)
    if lost and login.url.get_backend_name() != "sqlite":
        return database.away(login, selection, reason)
    return database.not_understood(selection, reason)
