"""Blocking calls (pandas, MLflow) outside of the event loop, a bounded number of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from training.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


class OverloadedError(UnavailableError):
    """More requests at once than this process takes."""


class BoundedPool:
    """Threads for blocking calls.

    A call past `max_threads` waits; one past `max_threads + max_waiting` is refused at once, so that a burst gives
    quick refusals rather than a queue that no caller waits for.
    """

    def __init__(self, name: str, *, max_threads: int = 4, max_waiting: int = 64) -> None:
        self._name = name
        self._executor = ThreadPoolExecutor(max_workers=max_threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(max_threads + max_waiting)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls `function` in a thread.

        Raises:
            OverloadedError: too many calls wait already.
        """
        if not self._places.acquire(blocking=False):
            raise OverloadedError(f"too many requests at once for {self._name}", hint="Try again in a second.")
        future = self._executor.submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drops what waits; a call that runs is not interrupted."""
        self._executor.shutdown(wait=False, cancel_futures=True)
