"""The use cases of pools as the API's services see them; the dispatcher is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ray_app.jobs.pools.model import (
    AnswerCounts,
    NewPool,
    PoolAnswer,
    PoolItem,
    PoolLabelEntry,
    PoolRecord,
    PoolRecordPage,
)


class Pools(Protocol):
    """Pools of the service. Every method may be called from many coroutines at once, and again with the same arguments.

    Each raises `training.errors.UnavailableError` when the dispatcher cannot be reached, and
    `training.errors.NotFoundError` for an unknown pool.
    """

    async def create(self, new: NewPool) -> PoolRecord:
        """Stores the pool and asks for its first rows.

        Raises:
            ConflictError: the idempotency key came before with another spec.
        """

    async def get(self, pool_id: str) -> PoolRecord:
        """The pool."""

    async def list(self, *, limit: int, cursor: str | None = None) -> PoolRecordPage:
        """A page of pools, newest first."""

    async def lease(self, pool_id: str, labeller: str, size: int, *, wait_s: float = 0) -> Sequence[PoolItem]:
        """Hands rows to a labeller: those that it holds already, then others; waits up to `wait_s` for the first."""

    async def answer(
        self, pool_id: str, labeller: str, answers: Sequence[PoolAnswer], *, need_lease: bool = True
    ) -> AnswerCounts:
        """Stores what a labeller says: all of it or nothing.

        Raises:
            SpecError: a row that was never handed out, or a label that is none.
            ConflictError: a lease that is over, or a test row that models were measured on.
        """

    async def items(self, pool_id: str) -> Sequence[PoolItem]:
        """Every row that was chosen."""

    async def labels(self, pool_id: str) -> Sequence[PoolLabelEntry]:
        """Everything that labellers said, in order."""
