"""Opening the store, and what is said when it is away."""

from __future__ import annotations

import secrets
import socket
import sqlite3
import stat
import traceback
from pathlib import Path

import pytest

from ray_app.jobs import database
from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore
from training.errors import SpecError, UnavailableError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "url",
    ["mysql://u:s3cret@h/d", "s3cret", "", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg2://u:s3cret@h/d"],
)
def test_a_url_that_is_not_ours_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        JobStore(url)
    assert caught.value.problems[0].field == "MTS_DATABASE_URL"
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_away_is_unavailable_without_its_secrets() -> None:
    password = secrets.token_hex()  # not in the source, which a traceback quotes
    with pytest.raises(UnavailableError, match="job store is not available") as caught:
        JobStore(f"postgresql://somebody:{password}@127.0.0.1:{free_port()}/d")
    assert password not in "".join(traceback.format_exception(caught.value))
    assert "somebody" not in caught.value.message


def test_the_file_and_its_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "home" / "jobs.db"
    with JobStore(f"sqlite:///{path}") as store:
        store.create("train", "a", {})
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["jobs.db", "jobs.db-shm", "jobs.db-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_sqlite_survives_a_power_cut_and_readers_do_not_wait_for_writers(sqlite_url: str) -> None:
    opened = database.Database(sqlite_url)
    settings = {
        name: opened.read(lambda connection, name=name: connection.exec_driver_sql(f"PRAGMA {name}").scalar())
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    opened.close()
    full = 2
    assert settings == {
        "journal_mode": "wal", "synchronous": full, "foreign_keys": 1,
        "busy_timeout": database.BUSY_TIMEOUT_S * 1000,
    }  # fmt: skip


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("not a database " * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file is in the way")
    with pytest.raises(UnavailableError) as caught:
        JobStore(f"sqlite:///{tmp_path / 'home' / 'jobs.db'}")
    assert str(tmp_path) not in caught.value.message


def test_a_database_that_another_program_keeps_locked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with JobStore(sqlite_url) as store:
        job, _ = store.create("train", "a", {})
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked"):
            store.assign_attempt(job.id)
        assert store.get(job.id) == job, "reading goes on"
        other.execute("ROLLBACK")
        other.close()
        assert store.assign_attempt(job.id) == 1


def test_a_table_that_is_gone_is_not_an_empty_list(sqlite_url: str) -> None:
    with JobStore(sqlite_url) as store:
        connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
        connection.execute("DROP TABLE job_tags")
        connection.close()
        with pytest.raises(UnavailableError, match="no such table"):
            store.list(JobQuery(tag="a"))
