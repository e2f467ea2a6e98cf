"""PostgreSQL by its binary COPY, straight into Arrow (ADBC); in ranges of a column on several connections."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from psycopg import sql

from training.data.sql import database
from training.data.sql.database import Login, Selection, SqlReader
from training.data.sql.ranges import Bounds, ranges
from training.data.sql.side_by_side import side_by_side
from training.data.sql.statement import bound
from training.errors import TrainingError

CONNECT_TIMEOUT_S = 10
_SESSION = (
    "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read "
    "-c statement_timeout={timeout_ms} -c TimeZone=UTC "
    # the same rows in the same order each time, as far as a database can promise it
    "-c synchronize_seqscans=off -c max_parallel_workers_per_gather=0"
)
_WRONG_LOGIN = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist")
_READ_ONLY, _TIMEOUT, _NO_RIGHT = "25006", "57014", "42501"
_SIGNS = {"statement timeout": _TIMEOUT, "read-only transaction": _READ_ONLY, "permission denied": _NO_RIGHT,
          "terminating connection": "57P01", "ERROR:": "22000"}  # fmt: skip
_LOST = ("08", "57P", "53", "58", "XX", "40")
"""Classes of errors that are about the server and not about the statement."""


class PostgresReader(SqlReader):
    """Reads a snapshot of the database: all ranges see the same rows, whatever is written meanwhile."""

    def batches(self, login: Login, selection: Selection) -> Generator[Any, None, None]:
        """The rows, range after range."""
        column = selection.source.partition_column
        with _explained(login, selection):
            if column is None:
                yield from _answer(login, _statement(selection))
                return
            with _coordinator(login) as connection:
                rows = sql.SQL("({}) AS rows").format(_raw(_statement(selection)))
                name = sql.Identifier(column)
                found = connection.execute(sql.SQL("SELECT min({0}), max({0}) FROM {1}").format(name, rows)).fetchone()
                snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
                low, high = found or (None, None)
                parts = [
                    sql.SQL("SELECT * FROM {} WHERE {}").format(rows, _condition(name, bounds)).as_string(connection)
                    for bounds in ranges(low, high, selection)
                ]
                shared = str(snapshot[0]) if snapshot else None
                yield from side_by_side([partial(_answer, login, part, shared) for part in parts])

    def size_bytes(self, login: Login, selection: Selection) -> int:
        """Rows times width, as the planner sees it."""
        plan = _plan(login, selection)
        return math.ceil(plan["Plan Rows"] * max(1, plan["Plan Width"]))

    def expected_rows(self, login: Login, selection: Selection) -> int | None:
        """As the planner sees it."""
        return math.ceil(_plan(login, selection)["Plan Rows"])


def _plan(login: Login, selection: Selection) -> dict[str, float]:
    with _explained(login, selection), _coordinator(login) as connection:
        explain = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(_raw(_statement(selection)))
        answer = connection.execute(explain).fetchone()
    return answer[0][0]["Plan"] if answer else {"Plan Rows": 0.0, "Plan Width": 0.0}


def _statement(selection: Selection) -> str:
    """The SELECT, with its parameters written by psycopg as literals: COPY takes none."""
    if selection.query is not None:
        values = selection.source.parameters
        return bound(selection.query, values, lambda name: sql.Literal(values[name]).as_string(None), selection.field)
    columns = sql.SQL("*") if selection.columns is None else sql.SQL(", ").join(map(sql.Identifier, selection.columns))
    table = sql.Identifier(*str(selection.source.table).split("."))
    return sql.SQL("SELECT {} FROM {}").format(columns, table).as_string(None)


def _raw(statement: str) -> sql.SQL:
    """A statement that is checked and complete, as a part of another."""
    return sql.SQL(statement.replace("{", "{{").replace("}", "}}"))


def _condition(name: sql.Identifier, bounds: Bounds) -> sql.Composable:
    if bounds.low is None and bounds.high is None:
        return sql.SQL("true")
    if bounds.low is None:
        return sql.SQL("({0} < {1} OR {0} IS NULL)").format(name, sql.Literal(bounds.high))
    if bounds.high is None:
        return sql.SQL("{} >= {}").format(name, sql.Literal(bounds.low))
    return sql.SQL("{0} >= {1} AND {0} < {2}").format(name, sql.Literal(bounds.low), sql.Literal(bounds.high))


def _answer(login: Login, statement: str, snapshot: str | None = None) -> Iterator[Any]:
    with closing(adbc.connect(_address(login))) as connection, closing(connection.cursor()) as cursor:
        if snapshot is not None:
            cursor.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)).as_string(None))
        cursor.execute(statement)
        reader = cursor.fetch_record_batch()
        yield reader.schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _address(login: Login) -> str:
    options = _SESSION.format(timeout_ms=math.ceil(login.timeout_s * 1000))
    own = login.url.query.get("options")
    url = login.url.set(drivername="postgresql").update_query_dict(
        {"options": f"{own} {options}" if own else options, "connect_timeout": str(CONNECT_TIMEOUT_S),
         "application_name": "mts-data"}
    )  # fmt: skip
    return url.render_as_string(hide_password=False).replace("+", "%20")


@contextmanager
def _coordinator(login: Login) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(_address(login)) as connection:
        yield connection


@contextmanager
def _explained(login: Login, selection: Selection) -> Iterator[None]:
    """Turns the drivers' errors into ours, without what they know of the login."""
    try:
        yield
    except (adbc_driver_manager.Error, psycopg.Error) as error:
        raise _translated(login, selection, str(error), error.sqlstate or "") from None
    except (OSError, pa.ArrowException) as error:
        # what breaks a running COPY comes through Arrow's stream, which carries no code
        code = next((code for sign, code in _SIGNS.items() if sign in str(error)), "")
        raise _translated(login, selection, str(error), code) from None


def _translated(login: Login, selection: Selection, message: str, code: str) -> TrainingError:
    text = login.scrubbed(_first_line(message))
    if code.startswith("28") or (not code and any(sign in message for sign in _WRONG_LOGIN)):
        return database.login_refused(login, selection)
    if code == _READ_ONLY:
        return database.would_write(selection)
    if code == _TIMEOUT:
        return database.too_slow(login, selection)
    if code == _NO_RIGHT:
        return database.not_allowed(login, selection)
    if not code or code.startswith(_LOST):
        return database.away(login, selection, text)
    return database.not_understood(selection, text)


def _first_line(text: str) -> str:
    """What the server said, without the driver's frame around it and without the statement."""
    line = text.partition("ERROR:")[2] or text.partition("FATAL:")[2] or text
    return line.strip().splitlines()[0].strip() if line.strip() else "no reason given"
