"""Reads of the store beside its one writer: in threads, and one for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

READERS = 4
"""A slow list does not hold up a look at one job."""


class Reads:
    """For the coroutines of one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def alone(self, read: Callable[[], T]) -> T:
        """Runs `read` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def shared(self, signal: asyncio.Future[None], what: Hashable, read: Callable[[], T]) -> T:
        """The same for all who hold the same signal: what they join began after the change before that signal."""
        key = (signal, what)
        task: asyncio.Task[T] | None = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self.alone(read))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False)
