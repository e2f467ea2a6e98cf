"""Rows are handed to labellers, so that no two do the same work unasked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select

from ray_app.jobs.pools.model import PoolItem
from ray_app.jobs.pools.queries import item_of
from ray_app.jobs.pools.tables import pool_items, pool_labels, pool_leases
from training.active_learning.policy import TOLERANCE, is_affordable

OPEN = ("queued", "disputed")


def lease(
    connection: Connection,
    pool_id: str,
    labeller: str,
    size: int,
    *,
    now: datetime,
    lease_s: float,
    per_row: int,
    left: float | None = None,
) -> list[PoolItem]:
    """Gives the labeller `size` rows: first those that it holds, then others by their place in the queue.

    Args:
        connection: of the transaction, which holds the pool's lock.
        pool_id: the pool.
        labeller: who asks.
        size: at most so many.
        now: the present.
        lease_s: for how long.
        per_row: labellers for each row.
        left: of the budget; None where there is none.
    """
    in_pool = pool_leases.c.pool_id == pool_id
    connection.execute(delete(pool_leases).where(in_pool, pool_leases.c.expires_at <= now - timedelta(days=1)))
    held, own = _leases(connection, pool_id, labeller, now)
    answered, done = _answers(connection, pool_id, labeller)
    open_rows = [pool_items.c.pool_id == pool_id, pool_items.c.status.in_(OPEN)]
    begun = held.keys() | answered.keys() | done
    if left is not None:
        left -= _cost(connection, pool_id, begun)
        open_rows.append(or_(pool_items.c.cost <= left + TOLERANCE, pool_items.c.row_id.in_(begun | own)))
    rows = connection.execute(
        select(pool_items)
        .where(*open_rows)
        .order_by(pool_items.c.position)
        .limit(size + len(done) + len(held) * 2 + len(own))
    )
    items = [item_of(row) for row in rows]
    free = [
        item
        for item in items
        if item.id not in done
        and (item.id in own or item.status == "disputed" or held[item.id] + answered[item.id] < per_row)
    ]
    free.sort(key=lambda item: item.id not in own)  # stable: its own first, the rest in order
    chosen = free[:size] if left is None else _affordable(free, begun, left)[:size]
    expires_at = now + timedelta(seconds=lease_s)
    _write(connection, pool_id, labeller, [item.id for item in chosen], expires_at)
    return [item.model_copy(update={"lease_expires_at": expires_at}) for item in chosen]


def _affordable(items: Sequence[PoolItem], begun: AbstractSet[str], left: float) -> list[PoolItem]:
    """Those that can all be paid for; rows that others have begun are paid already."""
    found = []
    for item in items:
        price = 0.0 if item.id in begun else item.cost
        if is_affordable(price, left):
            left -= price
            found.append(item)
    return found


def _cost(connection: Connection, pool_id: str, ids: AbstractSet[str]) -> float:
    """Of those among the rows that are open."""
    query = select(pool_items.c.row_id, pool_items.c.cost).where(
        pool_items.c.pool_id == pool_id, pool_items.c.status.in_(OPEN)
    )
    return float(sum(cost for row_id, cost in connection.execute(query) if row_id in ids))


def _leases(connection: Connection, pool_id: str, labeller: str, now: datetime) -> tuple[Counter[str], set[str]]:
    """How many others hold each row, and the rows that the labeller holds."""
    held: Counter[str] = Counter()
    own = set()
    query = select(pool_leases.c.row_id, pool_leases.c.labeller).where(
        pool_leases.c.pool_id == pool_id, pool_leases.c.expires_at > now
    )
    for row_id, who in connection.execute(query):
        if who == labeller:
            own.add(row_id)
        else:
            held[row_id] += 1
    return held, own


def _answers(connection: Connection, pool_id: str, labeller: str) -> tuple[Counter[str], set[str]]:
    """Answers of others to rows that are open, and rows that the labeller has answered."""
    counts: Counter[str] = Counter()
    done = set()
    query = (
        select(pool_labels.c.row_id, pool_labels.c.labeller)
        .join(
            pool_items, (pool_items.c.pool_id == pool_labels.c.pool_id) & (pool_items.c.row_id == pool_labels.c.row_id)
        )
        .where(pool_labels.c.pool_id == pool_id, pool_labels.c.is_current, pool_items.c.status.in_(OPEN))
    )
    for row_id, who in connection.execute(query):
        if who == labeller:
            done.add(row_id)
        else:
            counts[row_id] += 1
    return counts, done


def _write(
    connection: Connection, pool_id: str, labeller: str, row_ids: Sequence[str], expires_at: datetime
) -> None:  # fmt: skip
    if not row_ids:
        return
    connection.execute(
        delete(pool_leases).where(
            pool_leases.c.pool_id == pool_id, pool_leases.c.labeller == labeller, pool_leases.c.row_id.in_(row_ids)
        )
    )
    rows = [
        {"pool_id": pool_id, "row_id": row_id, "labeller": labeller, "expires_at": expires_at} for row_id in row_ids
    ]
    connection.execute(insert(pool_leases), rows)
