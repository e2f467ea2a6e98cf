"""The database behind the job store: SQLite on one machine, PostgreSQL for a cluster, one way to use either."""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import DataError as ColumnDataError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from training.errors import SpecError, UnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

URL_SETTING = "MTS_DATABASE_URL"
BUSY_TIMEOUT_S = 10
"""How long a statement waits for another process's write to SQLite before the store counts as away."""
BUSY_STEP_S = 0.02
CONNECT_TIMEOUT_S = 10
_WRITES = "mts_writes"


class _CommitLostError(Exception):
    """The connection broke during COMMIT: nobody knows whether the transaction took place."""


class Database:
    """Runs transactions. Thread-safe; SQLite's writers queue up here, so that none starves.

    Both methods take a function of a connection, because a transaction whose connection broke is run again, once.

    Raises:
        SpecError: the URL is not one of SQLite or PostgreSQL.
        UnavailableError: the database cannot be reached, is locked, or its disk is full. The message has no URL.
    """

    def __init__(self, url: str) -> None:
        self.engine = _open(_parsed(url))
        self._writer = self.engine.execution_options(**{_WRITES: True})
        sqlite = self.engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[Any] = threading.Lock() if sqlite else nullcontext()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction that sees one state of the database."""
        return self._translated(lambda: self._run(self.engine, work), repeatable=True)

    def write(self, work: Callable[[Connection], T], *, repeatable: bool = False) -> T:
        """Runs `work` in a transaction and commits it durably.

        Args:
            work: what to do; it may run twice, but at most once with effect.
            repeatable: doing it twice has the effect of doing it once. Then it is also repeated where the connection
                broke during the commit; else that is an UnavailableError.
        """

        def in_turn() -> T:
            with self._turn:
                return self._run(self._writer, work)

        return self._translated(in_turn, repeatable=repeatable)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.connect() as connection:
            answer = work(connection)
            try:
                connection.commit()
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise _CommitLostError from error
                raise
        return answer

    def _translated(self, transaction: Callable[[], T], *, repeatable: bool) -> T:
        try:
            try:
                return transaction()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            except _CommitLostError:
                if not repeatable:
                    raise
            return transaction()
        except (DBAPIError, PoolTimeoutError, _CommitLostError) as error:
            if isinstance(error, IntegrityError | ProgrammingError | ColumnDataError):
                raise  # a bug of ours, not the state of the database
            reason = _reason(error)
            logger.warning("job store: %s", reason)
        # outside of the handler: the driver's own error may name host and user, and must not travel with ours
        raise UnavailableError(
            f"the job store is not available: {reason}",
            hint=f"check the database that {URL_SETTING} names, and its disk",
        )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # the text itself may hold a password
        raise SpecError.at(URL_SETTING, "…", "is not a database URL; write sqlite:///PATH or postgresql://…") from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise SpecError.at(URL_SETTING, parsed.drivername, "is not supported; write sqlite:///PATH or postgresql://…")
    if parsed.drivername == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise SpecError.at(
            URL_SETTING, "sqlite://", "names no file, and jobs must survive a restart; write sqlite:///PATH"
        )
    return parsed


def _open(url: URL) -> Engine:
    if url.drivername != "sqlite":
        options = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "mts"}
        return create_engine(url, pool_pre_ping=True, connect_args=options, json_serializer=to_json,
                             hide_parameters=True)  # fmt: skip
    _make_file(Path(str(url.database)))
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, json_serializer=to_json,
                           hide_parameters=True)  # fmt: skip
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: Path) -> None:
    """Makes the file before SQLite does, readable to its owner only: specs may carry rows."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise UnavailableError(
            f"the job store cannot be opened: {error.strerror}",
            hint=f"check the folder that {URL_SETTING} or MTS_HOME names",
        ) from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # the driver would begin transactions on its own, and late; see _begin_sqlite
    connection.isolation_level = None
    _keep_a_log(connection)
    # a job that was answered survives a power cut
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Sets the write-ahead log. SQLite does not wait for another process that sets it at the same time; this does."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_STEP_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that writes takes the lock at once: one that first reads and then writes would fail, not wait.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def to_json(value: Any) -> str:
    """JSON text with keys in their order; NaN and infinities, which JSON lacks, become null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return value


def _reason(error: Exception) -> str:
    if not isinstance(error, DBAPIError):
        return "no connection is free" if isinstance(error, PoolTimeoutError) else "the connection was lost"
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return f"PostgreSQL answers SQLSTATE {state}"
    if type(error.orig).__module__ == "sqlite3":
        return str(error.orig)
    return "the connection was lost" if error.connection_invalidated else "it cannot be reached"
