"""API keys: who a caller is and what the caller may do. The file holds hashes, never keys."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from training.errors import SpecError, UnavailableError

logger = logging.getLogger("ray_app.keys")

# OWASP's interactive setting for scrypt: 16 MiB and about 50 ms a check; keys are 256 random bits besides
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1
MAX_KEY_CHARS = 200
KEY_ID = r"^[a-z0-9-]{1,64}$"


class Role(StrEnum):
    """What a caller may do; each role includes the ones before it."""

    VIEWER = "viewer"
    TRAINER = "trainer"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    id: str
    role: Role
    requests_per_minute: int | None = None
    max_active_jobs: int | None = None
    """Jobs that may wait or run at once; None for any number."""


class KeyRecord(BaseModel):
    """One key of the file, as `new_key` makes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=KEY_ID)]
    role: Role
    salt: Base64Bytes
    hash: Base64Bytes
    expires_at: AwareDatetime | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_active_jobs: Annotated[int, Field(ge=1)] | None = None


class KeyFile(BaseModel):
    """The keys file: YAML or JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: list[KeyRecord]


def checked_id(key_id: str) -> str:
    """The id, if a key may have it.

    Raises:
        SpecError: it may not.
    """
    if not re.fullmatch(KEY_ID, key_id):
        raise SpecError.at("id", key_id, "is no id of a key", hint="Use 1 to 64 of a-z, 0-9 and -.")
    return key_id


def new_key(key_id: str, role: Role, *, expires_at: datetime | None = None) -> tuple[str, KeyRecord]:
    """Makes a key: the text for the caller, shown once, and the record for the file."""
    secret, salt = secrets.token_urlsafe(32), secrets.token_bytes(16)
    record = KeyRecord(
        id=key_id,
        role=role,
        salt=b64encode(salt),
        hash=b64encode(_scrypt(secret, salt)),
        expires_at=expires_at,
    )
    return f"mts_{key_id}_{secret}", record


class KeyRing:
    """The keys of one file; read again when the file changes, so that a key is revoked without a restart.

    Thread-safe: state is replaced whole, never changed in place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache_key = secrets.token_bytes(32)
        self._state = self._read()

    def known(self, presented: str) -> Caller | None:
        """The caller, if this very key was verified before: no slow hash."""
        self._refresh()
        record = self._state.verified.get(self._digest(presented))
        return self._caller(record)

    def verify(self, presented: str) -> Caller | None:
        """The caller of a key, or None. Takes about 50 ms, also for an unknown id: call it in a thread.

        Raises:
            UnavailableError: the file cannot be read.
        """
        self._refresh()
        state = self._state
        parts = presented.split("_", 2)
        key_id, secret = (parts[1], parts[2]) if len(parts) == 3 and len(presented) <= MAX_KEY_CHARS else ("", "")
        record = state.records.get(key_id)
        salt, expected = (record.salt, record.hash) if record else (b"-" * 16, b"")
        if not hmac.compare_digest(_scrypt(secret, salt), expected) or record is None:
            return None
        state.verified[self._digest(presented)] = record
        return self._caller(record)

    def _caller(self, record: KeyRecord | None) -> Caller | None:
        if record is None or (record.expires_at is not None and record.expires_at <= datetime.now(UTC)):
            return None
        return Caller(record.id, record.role, record.requests_per_minute, record.max_active_jobs)

    def _digest(self, presented: str) -> bytes:
        return hmac.digest(self._cache_key, presented.encode(errors="surrogatepass"), "sha256")

    def _refresh(self) -> None:
        if self._stamp() != self._state.stamp:
            self._state = self._read()

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise _unreadable(error) from error
        return found.st_mtime_ns, found.st_size

    def _read(self) -> _State:
        stamp = self._stamp()
        try:
            keys = KeyFile.model_validate(yaml.safe_load(self._path.read_text("utf-8"))).keys
        except (OSError, ValueError, ValidationError, yaml.YAMLError) as error:
            raise _unreadable(error) from error
        return _State(stamp, {record.id: record for record in keys}, {})


@dataclass(frozen=True)
class _State:
    stamp: tuple[int, int]
    records: Mapping[str, KeyRecord]
    verified: dict[bytes, KeyRecord]
    """By a keyed digest of the key; one entry at most for each record."""


def _scrypt(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        secret.encode(errors="surrogatepass"), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, dklen=32
    )


def _unreadable(error: Exception) -> UnavailableError:
    logger.error("the API keys file cannot be used: %s", type(error).__name__)
    return UnavailableError("API keys cannot be checked now", hint="The operator finds the reason in the log.")
