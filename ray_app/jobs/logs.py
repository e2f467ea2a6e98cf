"""The logs of jobs: one text file a job on the head node."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ray_app.jobs.ids import checked_job_id
from training.errors import UnavailableError

MAX_LOG_BYTES = 10 * 1024 * 1024
"""A longer log is cut, with a note; a chatty library must not fill the head node's disk."""
MAX_READ_BYTES = 1024 * 1024
_MAX_CHAR_BYTES = 4


class JobLogs:
    """Appends to and reads from job logs. Thread-safe; one process writes, any number may read.

    The files are UTF-8, readable to their owner only. An offset counts bytes, so it stays good while the log grows.

    Args:
        folder: made when the first line comes.
        max_bytes: where a log is cut.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def append(self, job_id: str, text: str) -> None:
        """Appends text; beyond the cap it is dropped.

        Raises:
            NotFoundError: that is no job's id.
            UnavailableError: the disk is full or the folder cannot be written.
        """
        path = self._path(job_id)
        # a lone surrogate, from a file name for example, has no UTF-8
        encoded = text.encode("utf-8", errors="backslashreplace")
        try:
            with self._lock:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                with os.fdopen(descriptor, "ab", buffering=0) as file:
                    file.write(self._capped(encoded, file.tell()))
        except OSError as error:
            raise UnavailableError(
                f"the log of {job_id} cannot be written: {error.strerror}", hint="check the disk that MTS_HOME is on"
            ) from error

    def read(self, job_id: str, offset: int = 0, limit: int = MAX_READ_BYTES) -> tuple[str, int]:
        """Text from a byte offset on, and the offset at which to go on.

        Characters are whole: the bytes of one that is still being written are left for the next read. A job that wrote
        nothing has an empty log.

        Args:
            job_id: the job.
            offset: from an earlier read; 0 is the start.
            limit: at most so many bytes, but always room for one character.

        Raises:
            NotFoundError: that is no job's id.
            UnavailableError: the file cannot be read.
        """
        path = self._path(job_id)
        start = max(0, offset)
        try:
            with path.open("rb") as file:
                file.seek(start)
                found = file.read(max(_MAX_CHAR_BYTES, min(limit, MAX_READ_BYTES)))
        except FileNotFoundError:
            return "", start
        except OSError as error:
            raise UnavailableError(f"the log of {job_id} cannot be read: {error.strerror}") from error
        whole = _whole_characters(found)
        return whole.decode("utf-8", errors="replace"), start + len(whole)

    def _capped(self, encoded: bytes, size: int) -> bytes:
        if size >= self._max_bytes:
            return b""
        room = self._max_bytes - size
        if len(encoded) < room:
            return encoded
        # the note takes the file to the cap or beyond, which is how the next append knows
        note = f"\n[cut: a log holds {self._max_bytes} bytes]\n".encode()
        return _whole_characters(encoded[: max(0, room)]).ljust(room, b"\n") + note

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{checked_job_id(job_id)}.log"


def _whole_characters(piece: bytes) -> bytes:
    """The piece without the first bytes of a character whose last ones are missing."""
    for back in range(1, min(_MAX_CHAR_BYTES, len(piece) + 1)):
        byte = piece[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue  # inside a character: look for its first byte
        needed = 4 if byte >= 0b1111_0000 else 3 if byte >= 0b1110_0000 else 2 if byte >= 0b1100_0000 else 1
        return piece[:-back] if needed > back else piece
    return piece
