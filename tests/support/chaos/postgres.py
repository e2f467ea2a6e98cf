"""The databases of a service on a PostgreSQL server, which is killed and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from postgres_server import PostgresServer, running_postgres

DATABASES = ("jobs", "mlflow")
AWAY_S = 3.0


class Postgres:
    """The server, with an empty database for the jobs and one for MLflow."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        for name in DATABASES:
            server.create(name)

    @property
    def settings(self) -> dict[str, str]:
        """What makes a service use it."""
        jobs, mlflow = map(self._server.url_of, DATABASES)
        return {"MTS_DATABASE_URL": jobs, "MLFLOW_TRACKING_URI": mlflow}

    def kill(self) -> str:
        """SIGKILL to the server with all its processes; after some seconds somebody starts it again."""
        killed = self._server.kill()
        time.sleep(AWAY_S)
        self._server.start()
        return f"SIGKILL to PostgreSQL ({killed} processes), started again after {AWAY_S:g} s"

    def drop_connections(self) -> str:
        """The server ends every connection, as it does when it is reloaded or fails over."""
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)"
        return f"PostgreSQL ended {len(self._server.execute(statement, list(DATABASES)))} connections"


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Starts a server, and ends it."""
    with running_postgres() as server:
        yield Postgres(server)
