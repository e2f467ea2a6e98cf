"""Broken set-ups, one at a time: the doctor finds each, finds nothing else, and names what helps."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import certificate

from ray_app.jobs.store import JobStore
from ray_app.local import doctor, doctor_access
from ray_app.local.doctor import examine
from ray_app.local.ports import next_free
from ray_app.local.processes import RUN_FOLDER_MARK
from ray_app.services.keys import Role, new_key
from ray_app.settings import Settings

Break = Callable[[Settings, Path], Settings]


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home on which nothing fails."""
    (tmp_path / "examples" / "data").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    for limit in ("MIN_DISK_BYTES", "MIN_MEMORY_BYTES", "MIN_SHARED_BYTES"):
        monkeypatch.setattr(doctor, limit, 0)
    return Settings(home=tmp_path / "home", base=tmp_path, port=next_free(0), _env_file=None)


def failed(settings: Settings) -> dict[str, str]:
    return {check.name: check.remedy for check in examine(settings) if check.status == "failed"}


def with_keys(settings: Settings, folder: Path, mode: int = 0o600, **changes: Any) -> Settings:
    _, record = new_key("ci", Role.VIEWER)
    text = yaml.safe_dump({"keys": [record.model_copy(update=changes).model_dump(mode="json")]})
    (folder / "keys.yaml").write_text(text)
    (folder / "keys.yaml").chmod(mode)
    return settings.model_copy(update={"api_keys_file": folder / "keys.yaml"})


def no_keys_file(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"api_keys_file": folder / "nowhere.yaml"})


def open_keys_file(settings: Settings, folder: Path) -> Settings:
    return with_keys(settings, folder, 0o644)


def expired_keys(settings: Settings, folder: Path) -> Settings:
    return with_keys(settings, folder, expires_at=datetime(2020, 1, 1, tzinfo=UTC))


def broken_keys_file(settings: Settings, folder: Path) -> Settings:
    (folder / "keys.yaml").write_text("keys: [{id: 3}]")
    (folder / "keys.yaml").chmod(0o600)
    return settings.model_copy(update={"api_keys_file": folder / "keys.yaml"})


def expired_certificate(settings: Settings, folder: Path) -> Settings:
    cert, key = certificate(folder, days=-1)
    return settings.model_copy(update={"tls_cert_file": cert, "tls_key_file": key})


def certificate_of_another_key(settings: Settings, folder: Path) -> Settings:
    (folder / "other").mkdir()
    cert, _ = certificate(folder, days=100)
    _, key = certificate(folder / "other", days=100)
    return settings.model_copy(update={"tls_cert_file": cert, "tls_key_file": key})


def torn_job_store(settings: Settings, folder: Path) -> Settings:
    (settings.home_path / "jobs.db").write_bytes(b"not a database at all " * 100)
    return settings


def newer_job_store(settings: Settings, folder: Path) -> Settings:
    JobStore(settings.store_url).close()
    with closing(sqlite3.connect(settings.home_path / "jobs.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    return settings


def job_store_away(settings: Settings, folder: Path) -> Settings:
    url = Settings(_env_file=None, database_url=f"postgresql://u:hunter2@127.0.0.1:{next_free(0)}/x").database_url
    return settings.model_copy(update={"database_url": url})


def torn_registry(settings: Settings, folder: Path) -> Settings:
    (settings.home_path / "mlflow.db").write_bytes(b"not a database at all " * 100)
    return settings


def home_is_a_file(settings: Settings, folder: Path) -> Settings:
    (folder / "file").write_text("")
    return Settings(home=folder / "file", base=folder, port=settings.port, _env_file=None)


def artifacts_are_a_file(settings: Settings, folder: Path) -> Settings:
    (folder / "models").write_text("")
    return settings.model_copy(update={"artifact_uri": str(folder / "models")})


@pytest.mark.parametrize(
    ("broken", "name", "remedy"),
    [
        (no_keys_file, "api keys", "mts keys add"),
        (open_keys_file, "api keys file", "chmod 600"),
        (expired_keys, "api keys", "mts keys add"),
        (broken_keys_file, "api keys", "restore the file"),
        (expired_certificate, "certificate", "MTS_TLS_CERT_FILE"),
        (certificate_of_another_key, "certificate", "MTS_TLS_KEY_FILE"),
        (torn_job_store, "job store", "MTS_DATABASE_URL"),
        (newer_job_store, "job store", "newer release"),
        (job_store_away, "job store", "MTS_DATABASE_URL"),
        (torn_registry, "registry file", "mts restore"),
        (artifacts_are_a_file, "artifacts", "MTS_ARTIFACT_URI"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)  # fmt: skip
def test_each_is_found_alone_with_its_remedy(
    sound: Settings, tmp_path: Path, broken: Break, name: str, remedy: str
) -> None:
    assert failed(sound) == {}
    found = failed(broken(sound, tmp_path))
    assert set(found) == {name}
    assert remedy in found[name]


def test_a_home_that_is_a_file(sound: Settings, tmp_path: Path) -> None:
    assert "MTS_HOME" in failed(home_is_a_file(sound, tmp_path))["home"]


def test_no_secret_is_shown(sound: Settings, tmp_path: Path) -> None:
    shown = " ".join(check.model_dump_json() for check in examine(job_store_away(sound, tmp_path)))
    assert "hunter2" not in shown


def test_processes_without_a_supervisor(sound: Settings) -> None:
    marked = os.environ | {RUN_FOLDER_MARK: str(sound.home_path / "run")}
    command = [sys.executable, "-c", "print('here', flush=True); input()"]
    with subprocess.Popen(
        command, env=marked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        assert "mts down" in failed(sound)["left over"]
        orphan.communicate(b"\n")
    assert failed(sound) == {}


def test_too_few_open_files(sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_access.resource, "getrlimit", lambda _: (1024, 1024))
    assert "ulimit -n" in failed(sound)["open files"]
