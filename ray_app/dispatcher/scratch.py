"""Temporary files of a job, in a folder of its own: what a killed attempt leaves, the next one removes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(job_id: str) -> Iterator[None]:
    """All that `tempfile` makes meanwhile goes into the job's folder, which is empty at first and removed at the end.

    `tempfile.tempdir` belongs to the process; a worker process runs one attempt at a time.
    """
    before = tempfile.tempdir
    folder = _folder(job_id)
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
    shutil.rmtree(_folder(job_id), ignore_errors=True)


def _folder(job_id: str) -> Path:
    return Path(tempfile.gettempdir()) / f"mts-{job_id}"
