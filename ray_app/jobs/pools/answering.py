"""What labellers say is stored: all of one request or nothing, and nothing of it is ever lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from ray_app.jobs.pools.model import AnswerCounts, PoolAnswer, PoolItem, PoolLabelEntry
from ray_app.jobs.pools.queries import entry_of, item_of
from ray_app.jobs.pools.tables import pool_items, pool_labels, pool_leases
from training.active_learning.agreement import Vote, majority
from training.errors import ConflictError, Problem, SpecError, TrainingError

BATCH = 500
"""Values of one IN list: SQLite has a limit."""


@dataclass(frozen=True)
class Asked:
    """Answers of one labeller to rows of one pool.

    `measured`: whether a model has been measured on the test rows: from then on they are frozen. `need_lease`: False
    for answers that come from another tool, which hands out rows by itself.
    """

    pool_id: str
    labeller: str
    answers: Sequence[PoolAnswer]
    now: datetime
    per_row: int
    measured: bool
    need_lease: bool = True


def answer(connection: Connection, asked: Asked) -> AnswerCounts:
    """Stores the answers.

    Raises:
        SpecError: a row that was never handed out; all of them are named.
        ConflictError: a lease that is over, or a test row that models were measured on.
    """
    ids = [one.id for one in asked.answers]
    items = {item.id: item for item in _items(connection, asked.pool_id, ids)}
    said = _said(connection, asked.pool_id, ids)
    before = {entry.id: entry for entries in said.values() for entry in entries if entry.labeller == asked.labeller}
    new = [one for one in asked.answers if not _same(before.get(one.id), one)]
    _check(connection, asked, new, items, before)
    if new:
        entries = _write(connection, asked, new)
        for entry in entries:
            others = [one for one in said.get(entry.id, []) if one.labeller != asked.labeller]
            said[entry.id] = [*others, entry]
        _settle(connection, asked, [one.id for one in new], said)
    corrected = sum(one.id in before for one in new)
    return AnswerCounts(
        stored=len(new) - corrected, corrected=corrected, unchanged=len(asked.answers) - len(new)
    )  # fmt: skip


def _same(before: PoolLabelEntry | None, now: PoolAnswer) -> bool:
    return before is not None and (before.verdict, before.label) == (now.verdict, now.label)


def _check(
    connection: Connection, asked: Asked, new: Sequence[PoolAnswer], items: Mapping[str, PoolItem],
    before: Mapping[str, PoolLabelEntry],
) -> None:  # fmt: skip
    place = {one.id: number for number, one in enumerate(asked.answers)}
    unknown = [
        Problem(f"labels.{place[one.id]}.id", one.id, "no row with this id was handed out")
        for one in asked.answers
        if one.id not in items
    ]
    _refuse(SpecError, unknown, "Label rows that POST …/query has answered; rows that came with labels belong into "
            "data.labelled.")  # fmt: skip
    frozen = [
        Problem(f"labels.{place[one.id]}.id", one.id, "is a test row on which models were measured; its label is final")
        for one in new
        if asked.measured and items[one.id].part == "test"
    ]
    _refuse(ConflictError, frozen, "Make a new pool if the test set is wrong.")
    if asked.need_lease:
        _check_leases(connection, asked, [one for one in new if one.id not in before], place)


def _check_leases(
    connection: Connection, asked: Asked, new: Sequence[PoolAnswer], place: Mapping[str, int]
) -> None:  # fmt: skip
    query = select(pool_leases.c.row_id, pool_leases.c.expires_at).where(
        pool_leases.c.pool_id == asked.pool_id, pool_leases.c.labeller == asked.labeller
    )
    leases = dict(connection.execute(query).all())
    problems = []
    for one in new:
        until = leases.get(one.id)
        if until is None:
            problems.append(
                Problem(f"labels.{place[one.id]}.id", one.id, f"was not handed to {asked.labeller}")
            )  # fmt: skip
        elif until <= asked.now:
            message = f"the lease of {asked.labeller} was over at {until.isoformat(timespec='seconds')}"
            problems.append(Problem(f"labels.{place[one.id]}.id", one.id, message))
    _refuse(ConflictError, problems, "Ask for rows with POST …/query, and label them before lease_expires_at.")


def _refuse(kind: type[TrainingError], problems: list[Problem], hint: str) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        first = problems[0]
        raise kind(f"{first.field}: {first.value}: {first.message}{more}", hint=hint, problems=problems[:100])


def _write(connection: Connection, asked: Asked, new: Sequence[PoolAnswer]) -> list[PoolLabelEntry]:
    in_pool = pool_labels.c.pool_id == asked.pool_id
    ids = [one.id for one in new]
    last = connection.scalar(select(func.max(pool_labels.c.seq)).where(in_pool)) or 0
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        mine = (in_pool, pool_labels.c.labeller == asked.labeller, pool_labels.c.row_id.in_(some))
        connection.execute(update(pool_labels).where(*mine).values(is_current=False))
        connection.execute(
            delete(pool_leases).where(
                pool_leases.c.pool_id == asked.pool_id, pool_leases.c.labeller == asked.labeller,
                pool_leases.c.row_id.in_(some),
            )
        )  # fmt: skip
    rows = [
        {"pool_id": asked.pool_id, "seq": seq, "row_id": one.id, "labeller": asked.labeller, "verdict": one.verdict,
         "label": one.label, "is_current": True, "created_at": one.time or asked.now}
        for seq, one in enumerate(new, start=last + 1)
    ]  # fmt: skip
    connection.execute(insert(pool_labels), rows)
    return [
        PoolLabelEntry(seq=row["seq"], id=row["row_id"], labeller=asked.labeller, verdict=row["verdict"],
                       label=row["label"], current=True, created_at=row["created_at"])
        for row in rows
    ]  # fmt: skip


def _settle(
    connection: Connection, asked: Asked, ids: Sequence[str], said: Mapping[str, Sequence[PoolLabelEntry]]
) -> None:  # fmt: skip
    rows: list[dict[str, Any]] = []
    for name in ids:
        status, label = settled(said[name], asked.per_row)
        rows.append({"of_pool": asked.pool_id, "of_row": name, "status": status, "label": label})
    change = (
        update(pool_items)
        .where(pool_items.c.pool_id == bindparam("of_pool"), pool_items.c.row_id == bindparam("of_row"))
        .values(status=bindparam("status"), label=bindparam("label", type_=pool_items.c.label.type))
    )
    connection.execute(change, rows)


def settled(said: Sequence[PoolLabelEntry], per_row: int) -> tuple[str, str | float | None]:
    """Status and label of a row by what is said of it now. Who skips a row or is unsure has answered, and leaves it to
    the others: if it waited for one label more, nobody might be left to give it."""
    if len(said) < per_row:
        return "queued", None
    votes = [Vote(one.id, one.labeller, one.label) for one in said if one.verdict == "label" and one.label is not None]
    if not votes:
        return "skipped", None
    label = majority(votes)[votes[0].row]
    return ("disputed", None) if label is None else ("labelled", label)


def _items(connection: Connection, pool_id: str, ids: Sequence[str]) -> list[PoolItem]:
    found = []
    for start in range(0, len(ids), BATCH):
        some = pool_items.c.row_id.in_(ids[start : start + BATCH])
        found += [
            item_of(row) for row in connection.execute(select(pool_items).where(pool_items.c.pool_id == pool_id, some))
        ]
    return found


def _said(connection: Connection, pool_id: str, ids: Sequence[str]) -> dict[str, list[PoolLabelEntry]]:
    found: dict[str, list[PoolLabelEntry]] = {}
    for start in range(0, len(ids), BATCH):
        query = select(pool_labels).where(
            pool_labels.c.pool_id == pool_id, pool_labels.c.is_current,
            pool_labels.c.row_id.in_(ids[start : start + BATCH]),
        )  # fmt: skip
        for row in connection.execute(query):
            found.setdefault(row.row_id, []).append(entry_of(row))
    return found
