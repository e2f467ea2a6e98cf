"""Fills a job store with finished jobs: copies of a real one, each with an id of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray_app.jobs.ids import IdFactory

PIECE = 100_000
"""Jobs written by one transaction."""


def insert_finished_jobs(database: Path, count: int) -> None:
    """Adds `count` copies of the newest finished job, with its spec and its events left out of the copy."""
    factory = IdFactory()
    now = datetime.now(UTC)
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.row_factory = sqlite3.Row
        job = dict(connection.execute("SELECT * FROM jobs WHERE status = 'SUCCEEDED' ORDER BY id DESC").fetchone())
        spec = dict(connection.execute("SELECT * FROM job_specs WHERE job_id = ?", (job["id"],)).fetchone())
        for start in range(0, count, PIECE):
            ids = [factory.new(now) for _ in range(min(PIECE, count - start))]
            _copies(connection, "jobs", job | {"idempotency_key": None}, "id", ids)
            _copies(connection, "job_specs", spec, "job_id", ids)
            connection.commit()


def _copies(connection: sqlite3.Connection, table: str, row: dict[str, Any], key: str, ids: Sequence[str]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    connection.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own columns
        ([*(row | {key: new}).values()] for new in ids),
    )
