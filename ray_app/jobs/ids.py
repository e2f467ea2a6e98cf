"""Ids of jobs: unique, sortable by age, safe in paths and addresses."""

from __future__ import annotations

import re
import secrets
import threading
from datetime import datetime

from training.errors import NotFoundError, shown

CROCKFORD_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_STEP_BITS = 32
_JOB_ID = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}")


class IdFactory:
    """Makes ids in the form of a ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32.

    Thread-safe. Ids of one factory only ever grow, within one millisecond and over a clock that is set back too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, now: datetime) -> str:
        """An id greater than all that this factory made before."""
        value = int(now.timestamp() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            if value <= self._last or value >> _RANDOM_BITS == self._last >> _RANDOM_BITS:
                value = self._last + 1 + secrets.randbits(_STEP_BITS)
            self._last = value
        return "job_" + "".join(CROCKFORD_BASE32[value >> shift & 31] for shift in range(125, -1, -5))


def is_job_id(text: str) -> bool:
    """Whether this could be one of our ids."""
    return _JOB_ID.fullmatch(text) is not None


def no_such_job(job_id: str) -> NotFoundError:
    """The error for an id that no job has."""
    return NotFoundError.at("job_id", job_id, f"no job {shown(job_id)!r}", hint="`mts jobs` lists the newest jobs")


def checked_job_id(job_id: str) -> str:
    """The id, if it could be one of ours.

    Raises:
        NotFoundError: no job can have it.
    """
    if not is_job_id(job_id):
        raise no_such_job(job_id)
    return job_id
