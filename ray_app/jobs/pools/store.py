"""The store of the pools: what survives of labelling when processes, nodes or the whole cluster die."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ray_app.jobs.database import Database
from ray_app.jobs.pools import queries
from ray_app.jobs.pools.answering import Asked, answer
from ray_app.jobs.pools.leasing import lease
from ray_app.jobs.pools.model import (
    AnswerCounts,
    NewPool,
    PoolAnswer,
    PoolItem,
    PoolLabelEntry,
    PoolRecord,
    PoolRecordPage,
    PoolState,
)
from ray_app.jobs.pools.tables import pool_items, pool_labels, pool_leases, pool_rounds, pools
from training.errors import ConflictError


class PoolStore:
    """Pools with their rows, leases, labels and rounds.

    Thread-safe. Every method is one transaction: what it answers is on disk, and what it raises has left nothing
    behind. Writers of one pool wait for one another. Every method may be repeated with the same arguments.

    Every method raises UnavailableError when the database is away, and NotFoundError for an unknown pool.

    Args:
        database: of the job store, with the tables there.
        clock: gives the present.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def create(self, new: NewPool) -> PoolRecord:
        """Stores a pool, or answers the one that was stored for the same key.

        Raises:
            ConflictError: the key came before with another spec.
        """
        now = self._clock()
        digest = hashlib.sha256(json.dumps(new.spec, sort_keys=True).encode()).hexdigest()

        def work(connection: Connection) -> PoolRecord:
            same = _same(connection, new)
            if same is None:
                connection.execute(
                    insert(pools).values(
                        id=new.id, name=new.name, created_at=now, idempotency_key=new.idempotency_key,
                        spec_hash=digest, spec=new.spec, state=PoolState().model_dump(mode="json"),
                    )
                )  # fmt: skip
                return queries.get_pool(connection, new.id, now)
            if same.spec_hash != digest:
                raise ConflictError.at(
                    "Idempotency-Key", new.idempotency_key, f"came before, for pool {same.id}, with another spec",
                    hint="send a new key with a new spec",
                )  # fmt: skip
            return queries.get_pool(connection, same.id, now)

        return self._database.write(work, repeatable=True)

    def get(self, pool_id: str) -> PoolRecord:
        """The pool."""
        now = self._clock()
        return self._database.read(lambda connection: queries.get_pool(connection, pool_id, now))

    def list(self, limit: int, cursor: str | None = None) -> PoolRecordPage:
        """A page of pools, newest first."""
        now = self._clock()
        return self._database.read(lambda connection: queries.list_pools(connection, limit, cursor, now))

    def ids(self) -> Sequence[str]:
        """Ids of all pools."""
        return self._database.read(queries.all_ids)

    def items(self, pool_id: str, statuses: Sequence[str] = ()) -> Sequence[PoolItem]:
        """Rows that were chosen, in their order."""

        def work(connection: Connection) -> Sequence[PoolItem]:
            queries.find_row(connection, pool_id)
            return queries.get_items(connection, pool_id, statuses)

        return self._database.read(work)

    def labels(self, pool_id: str) -> Sequence[PoolLabelEntry]:
        """Everything that labellers said, in order."""

        def work(connection: Connection) -> Sequence[PoolLabelEntry]:
            queries.find_row(connection, pool_id)
            return queries.get_labels(connection, pool_id)

        return self._database.read(work)

    def lease(self, pool_id: str, labeller: str, size: int) -> Sequence[PoolItem]:
        """Hands rows to a labeller, as far as the budget pays for them and for those that others hold."""
        now = self._clock()

        def work(connection: Connection) -> Sequence[PoolItem]:
            spec = queries.find_row(connection, pool_id, lock=True).spec
            left = None
            if spec.get("budget") is not None:
                left = spec["budget"] - queries.get_counts(connection, pool_id, now).spent
            return lease(
                connection, pool_id, labeller, size, now=now, lease_s=spec["lease_s"], per_row=spec["labels_per_row"],
                left=left,
            )  # fmt: skip

        return self._database.write(work, repeatable=True)

    def answer(
        self, pool_id: str, labeller: str, answers: Sequence[PoolAnswer], *, need_lease: bool = True
    ) -> AnswerCounts:
        """Stores what a labeller says, see `answering.answer`."""
        now = self._clock()

        def work(connection: Connection) -> AnswerCounts:
            row = queries.find_row(connection, pool_id, lock=True)
            measured = row.state.get("version") is not None
            asked = Asked(pool_id, labeller, answers, now, row.spec["labels_per_row"], measured, need_lease)
            return answer(connection, asked)

        return self._database.write(work, repeatable=True)

    def set_state(self, pool_id: str, state: PoolState) -> None:
        """Says where the loop is."""
        change = update(pools).where(pools.c.id == pool_id).values(state=state.model_dump(mode="json"))
        self._database.write(lambda connection: connection.execute(change), repeatable=True)

    def query_came_back(self, pool_id: str, job_id: str, result: dict[str, Any], state: PoolState) -> None:
        """Takes in the rows that a query has chosen; a second time nothing happens.

        Args:
            pool_id: the pool.
            job_id: of the query.
            result: its result.
            state: of the pool afterwards; `state.replacing` says that rows that wait make place for these.
        """
        now = self._clock()

        def work(connection: Connection) -> None:
            queries.find_row(connection, pool_id, lock=True)
            known = select(pool_rounds.c.number).where(pool_rounds.c.pool_id == pool_id, pool_rounds.c.job_id == job_id)
            if connection.scalar(known) is not None:
                return
            if state.replacing:
                _drop_waiting(connection, pool_id, now)
            _mark_changed(connection, pool_id, result["changed"])
            _add_items(connection, pool_id, result["items"], state.round)
            connection.execute(
                insert(pool_rounds).values(
                    pool_id=pool_id, number=state.round, job_id=job_id, version=state.version,
                    labels=queries.get_counts(connection, pool_id, now).train_labelled,
                    evidence=result["evidence"], created_at=now,
                )
            )  # fmt: skip
            after = state.model_copy(update={"replacing": False}).model_dump(mode="json")
            connection.execute(update(pools).where(pools.c.id == pool_id).values(state=after))

        self._database.write(work, repeatable=True)


def _same(connection: Connection, new: NewPool) -> Row[Any] | None:
    by_id = connection.execute(select(pools).where(pools.c.id == new.id)).one_or_none()
    if by_id is not None or new.idempotency_key is None:
        return by_id
    return connection.execute(select(pools).where(pools.c.idempotency_key == new.idempotency_key)).one_or_none()


def _drop_waiting(connection: Connection, pool_id: str, now: datetime) -> None:
    """Rows of the strategy that nobody holds and nobody has answered: a better model has chosen others."""
    held = select(pool_leases.c.row_id).where(pool_leases.c.pool_id == pool_id, pool_leases.c.expires_at > now)
    said = select(pool_labels.c.row_id).where(pool_labels.c.pool_id == pool_id)
    connection.execute(
        delete(pool_items).where(
            pool_items.c.pool_id == pool_id, pool_items.c.part == "active", pool_items.c.status == "queued",
            pool_items.c.row_id.not_in(held), pool_items.c.row_id.not_in(said),
        )
    )  # fmt: skip


def _mark_changed(connection: Connection, pool_id: str, row_ids: Sequence[str]) -> None:
    for row_id in row_ids:
        mine = (pool_items.c.pool_id == pool_id, pool_items.c.row_id == row_id)
        connection.execute(update(pool_items).where(*mine).values(status="changed", label=None))


def _add_items(connection: Connection, pool_id: str, items: Sequence[dict[str, Any]], number: int) -> None:
    in_pool = pool_items.c.pool_id == pool_id
    last = connection.scalar(select(func.max(pool_items.c.position)).where(in_pool))
    known = select(pool_items.c.row_id, pool_items.c.status).where(in_pool)
    there = dict(connection.execute(known).all())
    again = [item["id"] for item in items if there.get(item["id"]) == "changed"]
    for row_id in again:
        # what was said of it was said of another content; the history stays
        mine = (pool_labels.c.pool_id == pool_id, pool_labels.c.row_id == row_id)
        connection.execute(update(pool_labels).where(*mine).values(is_current=False))
        connection.execute(delete(pool_items).where(in_pool, pool_items.c.row_id == row_id))
    rows = [
        {"pool_id": pool_id, "row_id": item["id"], "part": item["part"], "status": "queued", "position": position,
         "round": number, "score": item["score"], "cost": item["cost"], "row_hash": item["row_hash"],
         "why": item["why"], "cells": item["cells"]}
        for position, item in enumerate(items, start=0 if last is None else last + 1)
        if item["id"] not in there or item["id"] in again
    ]  # fmt: skip
    if rows:
        connection.execute(insert(pool_items), rows)
