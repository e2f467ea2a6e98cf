"""How the API reaches the pools in the dispatcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ray_app.jobs.pools.model import (
    AnswerCounts,
    NewPool,
    PoolAnswer,
    PoolItem,
    PoolLabelEntry,
    PoolRecord,
    PoolRecordPage,
)
from ray_app.jobs.port import Jobs

LOOK_S = 0.5
"""A labeller who waits for rows is looked after this often, where no job that it waits for is known."""


class PoolsClient:
    """Implements ray_app.jobs.pools.port.Pools by calls to the actor, each of which may be repeated.

    Args:
        call: calls a method of the actor's pools.
        jobs: to wait for the job that chooses rows.
    """

    def __init__(self, call: Callable[..., Awaitable[Any]], jobs: Jobs) -> None:
        self._call = call
        self._jobs = jobs

    async def create(self, new: NewPool) -> PoolRecord:
        """See the port."""
        record: PoolRecord = await self._call("create", new)
        return record

    async def get(self, pool_id: str) -> PoolRecord:
        """See the port."""
        record: PoolRecord = await self._call("get", pool_id)
        return record

    async def list(self, *, limit: int, cursor: str | None = None) -> PoolRecordPage:
        """See the port."""
        page: PoolRecordPage = await self._call("list", limit, cursor)
        return page

    async def lease(self, pool_id: str, labeller: str, size: int, *, wait_s: float = 0) -> Sequence[PoolItem]:
        """See the port."""
        deadline = time.monotonic() + wait_s
        while True:
            found: Sequence[PoolItem] = await self._call("lease", pool_id, labeller, size)
            left_s = deadline - time.monotonic()
            if found or left_s <= 0:
                return found
            record = await self.get(pool_id)
            if record.is_over:
                return found
            under_way = record.state.query_job or record.state.train_job
            if under_way is None:
                # nothing is being chosen: what may free a row is another labeller's lease
                await asyncio.sleep(min(LOOK_S, left_s))
            else:
                await self._jobs.get(under_way, wait_s=min(left_s, 10.0))

    async def answer(
        self, pool_id: str, labeller: str, answers: Sequence[PoolAnswer], *, need_lease: bool = True
    ) -> AnswerCounts:
        """See the port."""
        counts: AnswerCounts = await self._call("answer", pool_id, labeller, answers, need_lease=need_lease)
        return counts

    async def items(self, pool_id: str) -> Sequence[PoolItem]:
        """See the port."""
        items: Sequence[PoolItem] = await self._call("items", pool_id)
        return items

    async def labels(self, pool_id: str) -> Sequence[PoolLabelEntry]:
        """See the port."""
        labels: Sequence[PoolLabelEntry] = await self._call("labels", pool_id)
        return labels
