from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ray_app.local.auth import ensure_token


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_token_is_made_for_its_owner_only_and_then_kept(tmp_path: Path) -> None:
    environment = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "new" / "token")}
    path = ensure_token(environment)
    assert path is not None
    token = path.read_text()
    assert len(token) == 64
    assert mode(path) == 0o600
    ensure_token(environment)
    assert path.read_text() == token


def test_a_token_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("as Ray writes it")
    path.chmod(0o644)
    ensure_token({"RAY_AUTH_TOKEN_PATH": str(path)})
    assert mode(path) == 0o600
    assert path.read_text() == "as Ray writes it"


def test_a_token_in_the_environment_needs_no_file() -> None:
    assert ensure_token({"RAY_AUTH_TOKEN": "secret"}) is None


def test_without_any_setting_it_is_where_ray_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ensure_token({}) == tmp_path / ".ray" / "auth_token"
