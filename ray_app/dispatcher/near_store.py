"""The job store, read by the process that answers callers: no way through the dispatcher, and none that can be away."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ray_app.dispatcher.messages import StoreAddress
from ray_app.dispatcher.reads import Reads
from ray_app.jobs.store import JobStore
from training.errors import TrainingError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class NearStore:
    """Reads what the dispatcher has written; used by one event loop at a time. What was answered there is seen here.

    Args:
        address: asks the dispatcher where its store is; it answers once the store is open.
        node_id: of this process: a file on another node's disk is not for it.
    """

    def __init__(self, address: Callable[[], Awaitable[StoreAddress]], node_id: str) -> None:
        self._address = address
        self._node_id = node_id
        self._reads = Reads()
        self._found: tuple[StoreAddress, JobStore | None] | None = None
        self._current = False

    async def read(self, here: Callable[[JobStore], T], there: Callable[[], Awaitable[T]]) -> T:
        """What `here` finds in the store; where it cannot be reached from here, what `there` is told of it."""
        store = self._found[1] if self._found and self._current else await self._find()
        if store is None:
            return await there()
        return await self._reads.alone(lambda: here(store))

    def forget(self) -> None:
        """Another dispatcher has come: its store may be another."""
        self._current = False

    async def _find(self) -> JobStore | None:
        address = await self._address()
        if self._found is None or self._found[0] != address:
            store = await self._reads.alone(lambda: self._opened(address))
            # of several who look at the same time, the first one's stays
            if self._found is None or self._found[0] != address:
                self._found = (address, store)
            elif store is not None:
                await self._reads.alone(store.close)
        self._current = True
        return self._found[1]

    def _opened(self, address: StoreAddress) -> JobStore | None:
        if address.node_id not in {None, self._node_id}:
            return None
        try:
            return JobStore(address.url)
        except TrainingError as error:
            logger.warning("jobs are read through the dispatcher: %s", error.message)
            return None
