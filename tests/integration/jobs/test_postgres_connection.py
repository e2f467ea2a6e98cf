"""What the store does when PostgreSQL drops its connections or stops."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
import sqlalchemy as sa

from ray_app.jobs.database import Database
from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore
from training.errors import UnavailableError

END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mts'"


def drop_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_ALL)


def test_a_dropped_idle_connection_is_replaced(postgres_url: str) -> None:
    with JobStore(postgres_url) as store:
        job, _ = store.create("train", "a", {})
        drop_connections(postgres_url)
        assert store.assign_attempt(job.id) == 1
        drop_connections(postgres_url)
        assert store.list(JobQuery()).items[0].attempt == 1


@pytest.mark.parametrize("method", ["read", "write"])
def test_a_transaction_whose_connection_broke_runs_again_once(postgres_url: str, method: str) -> None:
    database = Database(postgres_url)
    runs = 0

    def work(connection: sa.Connection) -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            drop_connections(postgres_url)
        answer: int = connection.scalar(sa.text("SELECT 42"))
        return answer

    run: Callable[[Callable[[sa.Connection], int]], int] = getattr(database, method)
    assert run(work) == 42
    assert runs == 2
    database.close()


def test_a_connection_that_keeps_breaking_is_unavailable(postgres_url: str) -> None:
    database = Database(postgres_url)

    def work(connection: sa.Connection) -> None:
        drop_connections(postgres_url)
        connection.execute(sa.text("SELECT 1"))

    with pytest.raises(UnavailableError, match="job store is not available"):
        database.write(work)
    assert database.read(lambda connection: connection.scalar(sa.text("SELECT 1"))) == 1
    database.close()


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_lost_commit_is_repeated_only_where_that_does_no_harm(postgres_url: str, *, repeatable: bool) -> None:
    """The connection breaks between the last statement and the COMMIT."""
    database = Database(postgres_url)
    runs = 0

    def work(connection: sa.Connection) -> None:
        nonlocal runs
        runs += 1
        connection.execute(sa.text("SELECT 1"))
        if runs == 1:
            drop_connections(postgres_url)

    if repeatable:
        database.write(work, repeatable=True)
    else:
        with pytest.raises(UnavailableError):
            database.write(work)
    assert runs == 1 + repeatable
    database.close()
