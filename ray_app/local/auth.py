"""The token that Ray asks of everyone who talks to the cluster."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

OWNER_ONLY = 0o600


def token_path(environment: Mapping[str, str]) -> Path | None:
    """Where Ray looks for the token; None where the environment holds the token itself."""
    if environment.get("RAY_AUTH_TOKEN"):
        return None
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    return Path(named).expanduser() if named else Path.home() / ".ray" / "auth_token"


def ensure_token(environment: Mapping[str, str]) -> Path | None:
    """Makes the token if there is none, and lets nobody but its owner read it (Ray itself writes it world-readable)."""
    path = token_path(environment)
    if path is None:
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        path.chmod(OWNER_ONLY)
    return path
