"""Reading costs the same whether a hundred or tens of thousands of jobs are stored; counted in work, not in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ray_app.jobs import queries
from ray_app.jobs.database import Database
from ray_app.jobs.ids import IdFactory
from ray_app.jobs.model import JobQuery, JobStatus
from ray_app.jobs.store import JobStore
from ray_app.jobs.tables import job_specs, job_tags, jobs

MANY = 20_000
FEW = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES: list[dict[str, Any]] = [
    {},
    {"status": ["SUCCEEDED"]},
    {"status": ["PENDING", "RUNNING", "FAILED"]},
    {"kind": "train"},
    {"kind": "evaluate", "status": ["SUCCEEDED"]},
    {"name": "common"},
    {"name": "rare"},
    {"name": "common", "status": ["FAILED"], "kind": "train"},
    {"name": "nobody"},
    {"tag": "team=risk"},
    {"tag": "team"},
]
WALKS: list[dict[str, Any]] = [{"tag": "team=risk", "status": ["SUCCEEDED"]}]
"""Reads what has the tag, newest first, until the page is full."""


def fill(database: Database, count: int) -> list[str]:
    """Stores finished jobs, the last hundredth of them not yet begun; their ids, oldest first."""
    factory = IdFactory()
    times = [START + timedelta(seconds=number) for number in range(count)]
    ids = [factory.new(time) for time in times]
    empty = {"attempt": 1, "released": False, "cancel_requested": False, "user_failures": 0, "platform_failures": 0,
             "interruptions": 0, "event_count": 0, "spec_hash": "", "progress": {}, "links": {}}  # fmt: skip
    rows = [
        empty | {
            "id": ids[number], "kind": "evaluate" if number % 4 == 0 else "train", "created_at": times[number],
            "name": "rare" if number % 20 == 7 else "common", "priority": number % 5, "tags": {"team": "risk"},
            "status": "PENDING" if number >= count * 0.99 else "FAILED" if number % 20 == 1 else "SUCCEEDED",
        }
        for number in range(count)
    ]  # fmt: skip
    with database.engine.begin() as connection:
        connection.execute(sa.insert(jobs), rows)
        connection.execute(sa.insert(job_specs), [{"job_id": each, "size_chars": 2, "spec": {}} for each in ids])
        connection.execute(sa.insert(job_tags), [{"job_id": each, "key": "team", "value": "risk"} for each in ids])
        connection.execute(sa.text("ANALYZE"))
    return ids


def steps(database: Database, work: Callable[[sa.Connection], object]) -> int:
    """How many instructions SQLite's virtual machine runs for the work, to ten."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 10
        return 0

    with database.engine.connect() as connection:
        work(connection)  # prepares the statements
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 10)
        work(connection)
        driver.set_progress_handler(None, 10)
    return counted


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, Database]:
    """A SQLite store with few and one with many jobs."""
    made = []
    for count in (FEW, MANY):
        url = f"sqlite:///{tmp_path_factory.mktemp('many')}/jobs.db"
        JobStore(url).close()  # the migrations' order of indexes, which decides between plans of equal cost
        database = Database(url)
        fill(database, count)
        made.append(database)
    return made[0], made[1]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_page_on_sqlite_takes_as_many_steps_of_many_jobs_as_of_few(
    sizes: tuple[Database, Database], query: dict[str, Any]
) -> None:
    """The page is small enough to be full in both stores, so that equal answers are compared."""
    few, many = sizes
    asked = JobQuery(limit=1, **query)
    pages = [len(database.read(lambda connection: queries.list_jobs(connection, asked)).items) for database in sizes]
    if query.get("name") != "nobody" and query.get("status") != ["FAILED"]:
        assert pages == [1, 1]
    list_page: Callable[[sa.Connection], object] = lambda connection: queries.list_jobs(connection, asked)  # noqa: E731
    assert steps(many, list_page) <= 2 * steps(few, list_page)


def test_a_page_far_back_costs_as_much_as_the_first(sizes: tuple[Database, Database]) -> None:
    _, many = sizes
    with many.engine.connect() as connection:
        old = connection.scalars(sa.select(jobs.c.id).order_by(jobs.c.id).limit(1).offset(MANY // 10)).one()
    pages = [queries.ids_statement(JobQuery(status=["SUCCEEDED"]), before, 51) for before in (None, old)]  # type: ignore[list-item]
    first, far = (steps(many, lambda connection, page=page: connection.execute(page).all()) for page in pages)  # type: ignore[misc]
    assert far <= 2 * first


def test_the_head_of_a_long_queue_is_found_without_reading_it(sizes: tuple[Database, Database]) -> None:
    few, many = sizes
    head: Callable[[sa.Connection], object] = lambda connection: queries.pending_jobs(connection, 1, START)  # noqa: E731
    assert steps(many, head) <= 2 * steps(few, head)
    oldest: Callable[[sa.Connection], object] = queries.oldest_pending
    assert steps(many, oldest) <= 2 * steps(few, oldest)


def plan(connection: sa.Connection, statement: sa.Select[Any]) -> str:
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", dict(compiled.params))
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("query", QUERIES + WALKS, ids=str)
def test_a_page_on_postgresql_comes_from_indexes(many_on_postgres: Database, query: dict[str, Any]) -> None:
    with many_on_postgres.engine.connect() as connection:
        text = plan(connection, queries.ids_statement(JobQuery(**query), None, 51))
    assert "Seq Scan on jobs" not in text
    assert "Seq Scan on job_tags" not in text
    assert "Index" in text


def test_the_queue_on_postgresql_comes_from_its_index(many_on_postgres: Database) -> None:
    with many_on_postgres.engine.connect() as connection:
        text = plan(connection, queries.pending_statement(10, START))
    assert "ix_jobs_queue" in text
    assert "Sort" not in text


@pytest.fixture(scope="module")
def many_on_postgres(new_postgres: Callable[[], str]) -> Any:
    url = new_postgres()
    JobStore(url).close()
    database = Database(url)
    fill(database, MANY)
    yield database
    database.close()


def test_counting_jobs_reads_an_index_only(sizes: tuple[Database, Database]) -> None:
    _, many = sizes
    statement = "EXPLAIN QUERY PLAN SELECT status, count(*) FROM jobs GROUP BY status"
    with many.engine.connect() as connection:
        rows = connection.exec_driver_sql(statement).all()
        assert "COVERING INDEX ix_jobs_status_kind_id" in rows[0].detail
        counted = queries.counts_by_status(connection)
    assert sum(counted.values()) == MANY
    assert counted[JobStatus.PENDING] == MANY // 100
