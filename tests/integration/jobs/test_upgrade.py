"""A populated database of the first release is brought forward by a start, and its jobs go on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ray_app.jobs import migrations
from ray_app.jobs.database import Database
from ray_app.jobs.migrate import schema_version
from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore

FIRST = "0001"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DONE, WAITING = "job_00000000000000000000000001", "job_00000000000000000000000002"
SPEC = {"name": "a", "max_retries": 1}


def first_release(connection: sa.Connection) -> None:
    """The tables as the first release made them, with a finished job and one that waits."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(str(migrations.__path__[0]))))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, FIRST)
    tables = sa.MetaData()
    tables.reflect(connection)
    common = {
        "kind": "train", "name": "a", "priority": 0, "released": False, "cancel_requested": False, "user_failures": 0,
        "platform_failures": 0, "interruptions": 0, "event_count": 1, "created_at": NOW, "spec_hash": "x", "tags": {},
        "progress": {"phase": "queued"}, "links": {},
    }  # fmt: skip
    rows = (
        common | {"id": DONE, "status": "SUCCEEDED", "attempt": 1, "finished_at": NOW, "result": {"run_id": "r"}},
        common | {"id": WAITING, "status": "PENDING", "attempt": 0},
    )
    for row in rows:
        connection.execute(sa.insert(tables.tables["jobs"]).values(row))
        connection.execute(sa.insert(tables.tables["job_specs"]).values(job_id=row["id"], size_chars=20, spec=SPEC))
        event = {"job_id": row["id"], "seq": 1, "type": "state", "time": NOW, "data": {"status": row["status"]}}
        connection.execute(sa.insert(tables.tables["job_events"]).values(event))


def test_jobs_of_the_first_release_are_kept_and_go_on(empty_url: str) -> None:
    database = Database(empty_url)
    database.write(first_release)
    with JobStore(empty_url) as store:
        assert database.read(schema_version) == migrations.HEAD
        done = store.get(DONE)
        assert (done.status, done.result, done.spec, done.created_at) == ("SUCCEEDED", {"run_id": "r"}, SPEC, NOW)
        assert [event.seq for event in store.events(DONE)] == [1]
        assert {job.id for job in store.list(JobQuery()).items} == {DONE, WAITING}
        assert [job.id for job in store.pending(10)] == [WAITING]
        attempt = store.assign_attempt(WAITING)
        store.started(WAITING, attempt)
        finished = store.succeed(WAITING, attempt, {"run_id": "s"})
        assert finished is not None
        assert finished.status == "SUCCEEDED"
    database.close()
