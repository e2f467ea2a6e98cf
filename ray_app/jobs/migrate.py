"""Brings the tables of the job store to what this release knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ray_app.jobs.database import Database
from ray_app.jobs.migrations import HEAD
from training.errors import ConflictError

ADVISORY_LOCK = 0x6D74735F6A6F6273  # "mts_jobs"
"""PostgreSQL's lock for whoever migrates; any number will do that nobody else takes."""


def migrate(database: Database) -> None:
    """Runs the steps that are missing, in one transaction: all of them or none.

    Any number of processes may call this at once; one does the work. Where nothing is to do, it costs one query.

    Raises:
        ConflictError: a newer release has written the database.
    """
    if database.read(_is_current):
        return
    database.write(_upgrade, repeatable=True)


def schema_version(connection: Connection) -> str | None:
    """The newest step that the database has seen; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def sound_version(connection: Connection) -> str | None:
    """The version of the tables, after a look through the file where the database is one; None where there are none."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA quick_check(1)")
    return schema_version(connection)


def _is_current(connection: Connection) -> bool:
    version = schema_version(connection)
    if version is not None and version > HEAD:
        raise ConflictError(
            f"the job store has schema {version}, and this release knows only up to {HEAD}: a newer release wrote it",
            hint="start the newer release, or point MTS_DATABASE_URL at another database",
        )
    return version == HEAD


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    if _is_current(connection):
        return  # another process was faster

    # imported here, because a start that has nothing to migrate need not wait for it
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
