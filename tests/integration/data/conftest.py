"""A PostgreSQL database and a SQLite file with the same loans, and the operator's file that names them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
import yaml
from sqlalchemy.engine import make_url

from training.data import DataAccess

GERMAN = Path(__file__).parents[3] / "examples" / "data" / "german_credit.csv"
PASSWORD = "pg-S3cret-9d1f"


@dataclass(frozen=True)
class Databases:
    """URLs of the databases, without passwords."""

    postgres_admin: str
    postgres: str
    sqlite: str


@pytest.fixture(scope="session")
def databases(new_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Filled once for the session; tests only read."""
    frame = pd.read_csv(GERMAN)
    admin = new_postgres()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        kinds = {"int64": "bigint", "float64": "double precision", "object": "text"}
        columns = ", ".join(f'"{name}" {kinds[str(kind)]}' for name, kind in frame.dtypes.items())
        connection.execute(f"CREATE TABLE loans (row_number bigint, {columns})")
        with connection.cursor().copy("COPY loans FROM STDIN") as copy:
            for number, row in enumerate(frame.itertuples(index=False)):
                copy.write_row([number, *row])
        connection.execute("CREATE TABLE secrets (a int)")
        connection.execute("CREATE TABLE nothing (a int)")
        connection.execute("GRANT SELECT ON loans, nothing TO reader")
    path = tmp_path_factory.mktemp("sqlite") / "loans.db"
    with sqlite3.connect(path) as file:
        frame.rename_axis("row_number").reset_index().to_sql("loans", file, index=False)
    file.close()
    reader = make_url(admin).set(username="reader", password=None).render_as_string(hide_password=False)
    return Databases(admin, reader, f"sqlite:///{path}")


@pytest.fixture
def write_connections(tmp_path: Path) -> Callable[..., DataAccess]:
    """Writes the operator's file; answers what it allows."""

    def write(secrets: dict[str, str] | None = None, **connections: dict[str, Any]) -> DataAccess:
        path = tmp_path / "connections.yaml"
        path.write_text(yaml.safe_dump({"connections": connections}))
        found = secrets if secrets is not None else {"PG_PASSWORD": PASSWORD}
        return DataAccess((str(tmp_path),), tmp_path, connections_file=path, secret=found.get)

    return write


@pytest.fixture
def access(databases: Databases, write_connections: Callable[..., DataAccess]) -> DataAccess:
    """Both databases under their names."""
    return write_connections(
        warehouse={"url": databases.postgres, "password": "env:PG_PASSWORD", "statement_timeout_s": 5},
        laptop={"url": databases.sqlite, "statement_timeout_s": 1},
    )
