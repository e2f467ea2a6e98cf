"""Temporary files of an attempt, in a folder of its own: what a killed one leaves, the next one removes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def scratch(job_id: str) -> Iterator[None]:
    """All that `tempfile` makes meanwhile goes into a folder, which is empty at first and removed at the end.

    `tempfile.tempdir` belongs to the process; a worker process runs one attempt at a time. The folder belongs to the
    process too: after the dispatcher's death an attempt may still run for a moment while the next one begins.
    """
    before = tempfile.tempdir
    clear_scratch(job_id)
    folder = Path(tempfile.gettempdir()) / f"{_prefix(job_id)}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def clear_scratch(job_id: str) -> None:
    """Removes what killed attempts of the job have left on this node."""
    prefix = _prefix(job_id)
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if not psutil.pid_exists(int(folder.name.removeprefix(prefix))):
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(job_id: str) -> str:
    return f"mts-{job_id}-"
