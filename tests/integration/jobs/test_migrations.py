"""Migrations on real databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from ray_app.jobs import migrations
from ray_app.jobs.database import Database
from ray_app.jobs.migrate import migrate, schema_version
from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore
from ray_app.jobs.tables import metadata
from training.errors import ConflictError

OPEN_TOGETHER = """
import sys
from ray_app.jobs.store import JobStore
print("ready", flush=True)
sys.stdin.readline()
with JobStore(sys.argv[1]) as store:
    print(store.create("train", "a", {})[0].id, flush=True)
"""
OPEN_MIGRATED = """
import sys
from ray_app.jobs.store import JobStore
JobStore(sys.argv[1]).close()
assert "alembic" not in sys.modules, "a start with nothing to migrate does not wait for Alembic's import"
"""


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    opened = Database(empty_url)
    yield opened
    opened.close()


def test_a_new_database_gets_the_tables_that_the_program_works_with(database: Database) -> None:
    migrate(database)
    with database.engine.begin() as connection:
        assert schema_version(connection) == migrations.HEAD
        migrated = definitions(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert migrated == definitions(connection)


def definitions(connection: sa.Connection) -> dict[str, object]:
    """Everything that the database says of our tables."""
    inspector = sa.inspect(connection)
    tables: dict[str, object] = {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            sorted(str(key) for key in inspector.get_foreign_keys(table)),
            inspector.get_unique_constraints(table),
        )
        for table in metadata.tables
    }
    if connection.dialect.name == "sqlite":
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    return tables | {row[0]: row[1] for row in connection.exec_driver_sql(indexes)}


def test_the_newest_step_is_the_one_that_a_start_looks_for() -> None:
    assert ScriptDirectory(str(migrations.__path__[0])).get_current_head() == migrations.HEAD


def test_a_second_start_keeps_all_and_needs_no_alembic(empty_url: str) -> None:
    with JobStore(empty_url) as store:
        job, _ = store.create("train", "a", {})
    subprocess.run([sys.executable, "-c", OPEN_MIGRATED, empty_url], check=True, timeout=120)
    with JobStore(empty_url) as store:
        assert store.list(JobQuery()).items == [job]


def test_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_TOGETHER, empty_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for start in starts:
        assert start.stdout is not None
        assert start.stdout.readline() == "ready\n"
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("go\n")
        start.stdin.flush()
    ids = {start.communicate(timeout=120)[0].strip() for start in starts}
    assert [start.returncode for start in starts] == [0, 0, 0]
    with JobStore(empty_url) as store:
        assert {job.id for job in store.list(JobQuery()).items} == ids


def test_a_database_of_a_newer_release_is_refused_and_left_alone(store_url: str) -> None:
    engine = Database(store_url)
    with engine.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(ConflictError, match=r"9999.*newer release") as caught:
            JobStore(store_url)
        assert "MTS_DATABASE_URL" in caught.value.hint
        with engine.engine.connect() as connection:
            assert schema_version(connection) == "9999"
    finally:
        with engine.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :head"), {"head": migrations.HEAD})
        engine.close()


def test_a_migration_that_breaks_off_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_index", fails)
        with pytest.raises(RuntimeError, match="the power went"):
            migrate(database)
    assert sa.inspect(database.engine).get_table_names() == []
    migrate(database)
    assert "jobs" in sa.inspect(database.engine).get_table_names()
