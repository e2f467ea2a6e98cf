"""`mts keys`: a key is shown once, stored as a hash, and a running service follows the file."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ray_app.cli.application import app
from ray_app.services.keys import KeyRing


@pytest.fixture
def keys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "access" / "keys.yaml"
    monkeypatch.setenv("MTS_API_KEYS_FILE", str(path))
    monkeypatch.setenv("MTS_HOME", str(tmp_path / "home"))
    return path


def mts(*words: str, expect: int = 0) -> str:
    answer = CliRunner().invoke(app, ["keys", *words])
    assert answer.exit_code == expect, answer.output
    return answer.stdout


def test_a_key_is_shown_once_works_and_is_revoked(keys_file: Path) -> None:
    made = json.loads(mts("add", "nightly", "--role", "trainer", "--max-active-jobs", "3", "--json"))
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600
    assert made["key"].split("_", 2)[2] not in keys_file.read_text()
    ring = KeyRing(keys_file)
    caller = ring.verify(made["key"])
    assert caller is not None
    assert (caller.id, caller.role, caller.max_active_jobs) == ("nightly", "trainer", 3)

    other = mts("add", "reader", "--expires-days", "1").strip()
    assert ring.verify(other) is not None, "a running service takes a new key at once"
    listed = json.loads(mts("list", "--json"))
    assert [(key["id"], key["role"]) for key in listed] == [("nightly", "trainer"), ("reader", "viewer")]
    assert all("hash" not in key and "salt" not in key for key in listed)
    assert "nightly" in mts("list")

    mts("revoke", "nightly")
    assert ring.known(made["key"]) is None
    assert ring.verify(made["key"]) is None
    assert ring.verify(other) is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "Not An Id"], "1 to 64"),
        (["add", "x", "--role", "amin"], "nearest: admin"),
        (["revoke", "nobody"], "no key of that id"),
    ],
)
def test_mistakes_are_named(keys_file: Path, words: list[str], says: str) -> None:
    answer = CliRunner().invoke(app, ["keys", *words])
    assert answer.exit_code == 1
    assert says in answer.output


def test_a_second_key_of_an_id_is_refused_and_changes_nothing(keys_file: Path) -> None:
    mts("add", "one")
    before = keys_file.read_bytes()
    mts("add", "one", expect=1)
    assert keys_file.read_bytes() == before


def test_without_the_setting_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTS_API_KEYS_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["keys", "list"])
    assert answer.exit_code == 1
    assert "export MTS_API_KEYS_FILE" in answer.output
