"""Who did what: a line of JSON for each request that changes something or was refused."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

logger = logging.getLogger("ray_app.audit")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = frozenset({401, 403, 429})
MAX_TEXT_CHARS = 500


class AuditLog:
    """Appends to `audit-DATE.jsonl`, a file a day, readable to its owner only. Several processes may write at once.

    A line that cannot be written is told in the log and does not fail the request: it has happened already.

    Args:
        folder: made with the first line.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self, method: str, path: str, status: int, **facts: Any) -> None:
        """Writes a line, unless the request only read and was let through."""
        if method in SAFE_METHODS and status not in REFUSED:
            return
        now = datetime.now(UTC)
        known = {"time": now.isoformat(timespec="milliseconds"), "method": method, "path": path, "status": status}
        told = {name: _short(value) for name, value in (known | facts).items() if value is not None}
        line = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
        logger.info("%s", line)
        try:
            self._append(self._folder / f"audit-{now:%Y-%m-%d}.jsonl", f"{line}\n".encode())
        except OSError as error:
            logger.warning("the audit log cannot be written: %s", error.strerror)

    def _append(self, path: Path, line: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)  # one call, so that the lines of two processes do not mix
        finally:
            os.close(handle)


def _short(value: Any) -> Any:
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else value
