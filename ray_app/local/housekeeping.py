"""Removes what is kept for a time only: job logs, audit logs, checkpoints and drafts that nobody will come back for."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ray_app.settings import Settings

logger = logging.getLogger("mts.housekeeping")

DAY_S = 86_400.0
CHECKPOINT_DAYS = 7.0
"""A fit that went on would have written a newer one."""
DRAFT_DAYS = 1.0
"""Of a backup or a restore that was cut off."""
INTERVAL_S = 3600.0


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be."""

    path: Path
    size_bytes: int
    why: str


def old(settings: Settings, now: float) -> Iterator[Removed]:
    """What is older than its time. A job itself, its events and its models are never among it.

    Args:
        settings: say how long logs are kept.
        now: seconds since the epoch.
    """
    home, logs = settings.home_path, settings.logs_path
    rules = (
        (logs, "job_*.log", settings.keep_job_logs_days, "job log"),
        (logs, "audit-*.jsonl", settings.keep_audit_days, "audit log"),
        (home / "checkpoints", "*", CHECKPOINT_DAYS, "checkpoints"),
        (home, "mts-backup-*", DRAFT_DAYS, "draft of a backup"),
        (home, ".restore-*", DRAFT_DAYS, "draft of a restore"),
    )
    for folder, pattern, days, what in rules:
        for path in folder.glob(pattern):
            if not path.is_symlink() and now - _newest(path) > days * DAY_S:
                yield Removed(path, _size(path), f"{what}, older than {days:g} days")


def tidy_home(settings: Settings) -> list[Removed]:
    """Removes it, and says what it was."""
    found = list(old(settings, time.time()))
    for item in found:
        if item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)
        else:
            item.path.unlink(missing_ok=True)
    if found:
        size_mb = sum(item.size_bytes for item in found) / 1e6
        logger.info("removed %d old files and folders, %.1f MB", len(found), size_mb)
    return found


def _newest(path: Path) -> float:
    inside = path.rglob("*") if path.is_dir() else iter(())
    return max([path.stat().st_mtime, *(child.stat().st_mtime for child in inside)])


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(child.stat().st_size for child in path.rglob("*") if child.is_file())
