"""Changes the keys file: written whole and renamed into place, readable to its owner only."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import ValidationError

from ray_app.services.keys import KeyFile, KeyRecord
from training.errors import ConflictError, NotFoundError, SpecError, nearest

SETTING = "MTS_API_KEYS_FILE"


def read_keys(path: Path) -> list[KeyRecord]:
    """All keys; none where there is no file.

    Raises:
        SpecError: the file is not a keys file.
    """
    if not path.exists():
        return []
    try:
        return KeyFile.model_validate(yaml.safe_load(path.read_text("utf-8"))).keys
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError.at(SETTING, str(path), f"is not a keys file ({type(error).__name__})") from None


def add_key(path: Path, record: KeyRecord) -> None:
    """Adds a key.

    Raises:
        ConflictError: there is one of that id.
    """

    def added(keys: list[KeyRecord]) -> list[KeyRecord]:
        if any(key.id == record.id for key in keys):
            raise ConflictError.at("id", record.id, "there is a key of that id", hint="revoke it first")
        return [*keys, record]

    _change(path, added)


def revoke_key(path: Path, key_id: str) -> None:
    """Removes a key; running services refuse it from their next request on.

    Raises:
        NotFoundError: there is none of that id.
    """

    def without(keys: list[KeyRecord]) -> list[KeyRecord]:
        left = [key for key in keys if key.id != key_id]
        if len(left) == len(keys):
            raise NotFoundError.at("id", key_id, f"no key of that id{nearest(key_id, [key.id for key in keys])}")
        return left

    _change(path, without)


def _change(path: Path, change: Callable[[list[KeyRecord]], list[KeyRecord]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(path):
        keys = change(read_keys(path))
        text = yaml.safe_dump({"keys": [key.model_dump(mode="json", exclude_none=True) for key in keys]})
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
