from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ray_app.local import doctor
from ray_app.local.check import Check
from ray_app.local.doctor import examine
from ray_app.local.ports import next_free
from ray_app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    data = tmp_path / "examples" / "data"
    data.mkdir(parents=True)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    return Settings(home=tmp_path / "home", base=tmp_path, port=next_free(0), _env_file=None)


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_on_a_fresh_machine_nothing_fails(settings: Settings) -> None:
    assert [check for check in examine(settings) if check.status == "failed"] == []


def test_every_failure_has_a_remedy(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    (tmp_path / "constraints.txt").write_text("pydantic==1.0\n")
    broken = settings.model_copy(update={"data_roots": (str(tmp_path / "nowhere"),)})
    with socket.create_server((broken.host, broken.port)):
        checks = examine(broken)
    failed = {check.name: check for check in checks if check.status == "failed"}
    assert set(failed) == {"token", "packages", "data roots", f"port {broken.port}"}
    assert failed["token"].remedy == f"chmod 600 {tmp_path / 'token'}"
    assert "instead of 1.0" in failed["packages"].found
    assert "nowhere" in failed["data roots"].found
    assert "MTS_PORT" in failed[f"port {broken.port}"].remedy
    assert all(check.remedy for check in failed.values())


def test_a_full_disk_and_a_small_shared_memory_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_DISK_BYTES", 2**60)
    monkeypatch.setattr(doctor, "MIN_SHARED_BYTES", 2**60)
    checks = examine(settings)
    assert "free at least" in named(checks, "disk").remedy
    assert "--shm-size" in named(checks, "shared memory").remedy


def test_a_local_build_of_a_pinned_version_is_that_version(settings: Settings, tmp_path: Path) -> None:
    # the wheel of torch without CUDA calls itself 2.13.0+cpu
    (tmp_path / "constraints.txt").write_text(f"torch=={doctor._version('torch') or ''}\n".replace("+cpu", ""))
    assert named(examine(settings), "packages").status == "ok"
