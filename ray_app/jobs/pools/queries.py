"""What is read of the pools; each function works in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from ray_app.jobs.pools.model import (
    PoolCounts,
    PoolItem,
    PoolLabelEntry,
    PoolRecord,
    PoolRecordPage,
    PoolRound,
    PoolState,
)
from ray_app.jobs.pools.tables import pool_items, pool_labels, pool_leases, pool_rounds, pools
from training.errors import NotFoundError, shown


def find_row(connection: Connection, pool_id: str, *, lock: bool = False) -> Row[Any]:
    """The row of a pool; with `lock` nobody else changes the pool until the transaction is over.

    Raises:
        NotFoundError: no such pool.
    """
    query = select(pools).where(pools.c.id == pool_id[:40])
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError.at("pool_id", shown(pool_id), f"no pool {shown(pool_id)!r}", hint="`mts label list`")
    return row


def get_pool(connection: Connection, pool_id: str, now: datetime) -> PoolRecord:
    """The pool with its counts and rounds."""
    return _record(connection, find_row(connection, pool_id), now)


def list_pools(connection: Connection, limit: int, cursor: str | None, now: datetime) -> PoolRecordPage:
    """A page, newest first."""
    query = select(pools).order_by(pools.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(pools.c.id < cursor[:40])
    rows = connection.execute(query).all()
    items = [_record(connection, row, now) for row in rows[:limit]]
    return PoolRecordPage(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def all_ids(connection: Connection) -> list[str]:
    """Ids of all pools."""
    return list(connection.scalars(select(pools.c.id)))


def get_items(connection: Connection, pool_id: str, statuses: Sequence[str] = ()) -> list[PoolItem]:
    """Rows that were chosen, in their order."""
    query = select(pool_items).where(pool_items.c.pool_id == pool_id).order_by(pool_items.c.position)
    if statuses:
        query = query.where(pool_items.c.status.in_(statuses))
    return [item_of(row) for row in connection.execute(query)]


def get_labels(connection: Connection, pool_id: str) -> list[PoolLabelEntry]:
    """Everything that was said, in order."""
    query = select(pool_labels).where(pool_labels.c.pool_id == pool_id).order_by(pool_labels.c.seq)
    return [entry_of(row) for row in connection.execute(query)]


def item_of(row: Row[Any]) -> PoolItem:
    """An item of its row."""
    values = dict(row._mapping)
    return PoolItem.model_validate(values | {"id": values["row_id"]})


def entry_of(row: Row[Any]) -> PoolLabelEntry:
    """A label of its row."""
    values = dict(row._mapping)
    return PoolLabelEntry.model_validate(values | {"id": values["row_id"], "current": values["is_current"]})


def _record(connection: Connection, row: Row[Any], now: datetime) -> PoolRecord:
    rounds = connection.execute(
        select(pool_rounds).where(pool_rounds.c.pool_id == row.id).order_by(pool_rounds.c.number)
    )
    return PoolRecord(
        id=row.id, name=row.name, created_at=row.created_at, spec=row.spec,
        state=PoolState.model_validate(row.state), counts=get_counts(connection, row.id, now),
        rounds=[PoolRound.model_validate(dict(one._mapping)) for one in rounds],
    )  # fmt: skip


def get_counts(connection: Connection, pool_id: str, now: datetime) -> PoolCounts:
    """How far labelling is."""
    mine = pool_items.c.pool_id == pool_id
    query = select(pool_items.c.part, pool_items.c.status, func.count()).where(mine)
    by: Counter[tuple[str, str]] = Counter()
    for part, status, count in connection.execute(query.group_by(pool_items.c.part, pool_items.c.status)):
        by[part, status] = count
    classes: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    labelled = select(pool_items.c.part, pool_items.c.label).where(mine, pool_items.c.status == "labelled")
    for part, label in connection.execute(labelled):
        if isinstance(label, str):
            classes[part == "test"][label] += 1
    spent = connection.scalar(select(func.sum(pool_items.c.cost)).where(mine, pool_items.c.status == "labelled"))
    waits = pool_items.c.status.in_(("queued", "disputed"))
    cheapest = connection.scalar(select(func.min(pool_items.c.cost)).where(mine, waits))
    is_live = and_(pool_leases.c.pool_id == pool_id, pool_leases.c.expires_at > now)
    leased = connection.scalar(select(func.count()).select_from(pool_leases).where(is_live))
    out = select(pool_leases.c.row_id).where(is_live)
    waiting = query.where(pool_items.c.status == "queued", pool_items.c.row_id.in_(out))
    held = {
        part: count for part, _, count in connection.execute(waiting.group_by(pool_items.c.part, pool_items.c.status))
    }
    labellers = connection.execute(
        select(pool_labels.c.labeller, func.count())
        .where(pool_labels.c.pool_id == pool_id, pool_labels.c.is_current)
        .group_by(pool_labels.c.labeller)
    )

    def of(status: str) -> int:
        return sum(count for (_, one), count in by.items() if one == status)

    return PoolCounts(
        test_total=sum(count for (part, _), count in by.items() if part == "test"),
        test_labelled=by["test", "labelled"], active_labelled=by["active", "labelled"],
        random_labelled=by["random", "labelled"], queued=by["active", "queued"] + by["random", "queued"],
        queued_random=by["random", "queued"], held=held.get("active", 0) + held.get("random", 0),
        held_random=held.get("random", 0), test_queued=by["test", "queued"] + by["test", "disputed"],
        leased=leased or 0, skipped=of("skipped"), disputed=of("disputed"), changed=of("changed"),
        spent=float(spent or 0.0), cheapest=cheapest, by_class=dict(classes[False]), test_by_class=dict(classes[True]),
        by_labeller=dict(labellers.all()),
    )  # fmt: skip
