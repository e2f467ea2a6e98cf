"""API keys: who passes, who does not, and that the file holds no key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ray_app.services.keys import Caller, KeyRecord, KeyRing, Role, new_key
from training.errors import UnavailableError


def write(path: Path, *records: KeyRecord) -> Path:
    path.write_text(yaml.safe_dump({"keys": [record.model_dump(mode="json") for record in records]}))
    return path


def test_a_key_passes_and_its_file_does_not_hold_it(tmp_path: Path) -> None:
    key, record = new_key("ci", Role.TRAINER)
    ring = KeyRing(write(tmp_path / "keys.yaml", record))
    assert ring.known(key) is None
    assert ring.verify(key) == Caller("ci", Role.TRAINER)
    assert ring.known(key) == Caller("ci", Role.TRAINER)
    assert key.removeprefix("mts_ci_") not in (tmp_path / "keys.yaml").read_text()


@pytest.mark.parametrize(
    "wrong", ["", "mts", "mts_ci", "mts_ci_", "mts_other_x", "x" * 10_000, "mts_ci_\udcff", "ключ"]
)
def test_another_key_does_not_pass(tmp_path: Path, wrong: str) -> None:
    key, record = new_key("ci", Role.TRAINER)
    ring = KeyRing(write(tmp_path / "keys.yaml", record))
    assert ring.verify(wrong) is None
    assert ring.verify(key + "x") is None
    assert ring.verify(key[:-1]) is None
    assert ring.known(wrong) is None


def test_an_expired_key_does_not_pass(tmp_path: Path) -> None:
    key, record = new_key("ci", Role.ADMIN, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert KeyRing(write(tmp_path / "keys.yaml", record)).verify(key) is None


def test_a_key_that_is_taken_out_of_the_file_stops_at_once(tmp_path: Path) -> None:
    (key, record), (_, other) = new_key("ci", Role.TRAINER), new_key("ops-2", Role.ADMIN)
    ring = KeyRing(write(tmp_path / "keys.yaml", record))
    assert ring.verify(key)
    write(tmp_path / "keys.yaml", other, other.model_copy(update={"id": "third"}))
    assert ring.known(key) is None
    assert ring.verify(key) is None


@pytest.mark.parametrize(
    "text", ["", "keys: 3", "keys: [{id: x}]", "a: [", "keys: [{id: x, role: god, salt: a, hash: b}]"]
)
def test_a_broken_file_lets_nobody_in_and_shows_nothing(tmp_path: Path, text: str) -> None:
    key, record = new_key("ci", Role.TRAINER)
    ring = KeyRing(write(tmp_path / "keys.yaml", record))
    assert ring.verify(key)
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(UnavailableError) as caught:
        ring.verify(key)
    assert str(tmp_path) not in f"{caught.value.message} {caught.value.hint}"
    with pytest.raises(UnavailableError):
        KeyRing(tmp_path / "missing.yaml")


def test_each_role_includes_the_ones_below() -> None:
    order = [Role.VIEWER, Role.TRAINER, Role.APPROVER, Role.ADMIN]
    assert [[high.includes(low) for low in order] for high in order] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
