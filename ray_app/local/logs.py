"""Log files of the processes on this machine: bounded, appended to, readable at their end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 10 * 1024 * 1024
TAIL_BYTES = 64 * 1024


def open_log(path: Path) -> BinaryIO:
    """Opens a log for appending; a child that inherits it goes on writing at the end after `bound` cut it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bound(path)
    return path.open("ab", buffering=0)


def bound(path: Path, limit: int = MAX_LOG_BYTES) -> bool:
    """Moves what is in a log over `limit` bytes to NAME.1 and empties it, under the feet of whoever writes it."""
    if not path.exists() or path.stat().st_size <= limit:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def tail(path: Path, lines: int = 15, *, after: int = 0) -> list[str]:
    """The last lines that are not empty, from byte `after` on."""
    if not path.exists():
        return []
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(min(after, size), size - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]
