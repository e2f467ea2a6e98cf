"""How much one caller may ask: requests in a minute, and jobs that are not over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray_app.jobs.port import Jobs
from ray_app.services.keys import Caller
from ray_app.services.pool import OverloadedError
from training.errors import SpecError

OWNER_TAG = "mts.created-by"
"""Tag of a job that holds the id of the key that asked for it; `GET /jobs?tag=mts.created-by=alice` lists them."""
JOB_RETRY_AFTER_S = 15


class QuotaError(OverloadedError):
    """The caller has used up what it may ask."""

    retry_after_s: int = 1


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Quotas:
    """A token bucket a caller, in memory: with several replicas a caller may reach its rate on each of them.

    Used by one event loop.

    Args:
        jobs: knows which jobs are not over.
        clock: monotonic seconds.
    """

    def __init__(self, jobs: Jobs, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def count_request(self, caller: Caller) -> None:
        """Counts a request.

        Raises:
            QuotaError: the caller has made more than its number in the last minute.
        """
        rate = caller.requests_per_minute
        if rate is None:
            return
        now = self._clock()
        bucket = self._buckets.setdefault(caller.id, _Bucket(float(rate), now))
        bucket.tokens = min(float(rate), bucket.tokens + (now - bucket.filled_at) * rate / 60.0)
        bucket.filled_at = now
        if bucket.tokens < 1.0:
            wait_s = math.ceil((1.0 - bucket.tokens) * 60.0 / rate)
            raise _quota_error(f"{caller.id} may make {rate} requests a minute", "Send fewer, or wait.", wait_s)
        bucket.tokens -= 1.0

    async def check_jobs(self, caller: Caller) -> None:
        """Looks whether the caller may ask for one more job.

        Requests that come at the very same moment may each pass: the number is a bound on what piles up, not a lock.

        Raises:
            QuotaError: so many of its jobs are waiting or running already.
            UnavailableError: the dispatcher is away.
        """
        limit = caller.max_active_jobs
        if limit is not None and await self._jobs.active(f"{OWNER_TAG}={caller.id}") >= limit:
            raise _quota_error(
                f"{caller.id} may have {limit} jobs that wait or run, and has them",
                "Wait until one is over, or cancel one.", JOB_RETRY_AFTER_S,
            )  # fmt: skip


def owned(spec: dict[str, Any], caller: Caller | None) -> dict[str, Any]:
    """The spec with its owner among the tags; unchanged where there are no keys.

    Raises:
        SpecError: the caller has set that tag itself.
    """
    tags = spec.get("tags") or {}
    if OWNER_TAG in tags:
        raise SpecError.at(
            f"tags.{OWNER_TAG}", tags[OWNER_TAG], "is set by the service", hint="Name the tag otherwise."
        )
    return spec if caller is None else {**spec, "tags": {**tags, OWNER_TAG: caller.id}}


def _quota_error(message: str, hint: str, retry_after_s: int) -> QuotaError:
    error = QuotaError(message, hint=hint)
    error.retry_after_s = max(1, retry_after_s)
    return error
