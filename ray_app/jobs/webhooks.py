"""What is to be told to other services, and what became of it: kept in the job store until it is delivered."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from ray_app.jobs.database import Database
from ray_app.jobs.model import WireModel
from ray_app.jobs.tables import webhook_deliveries as table
from training.errors import ConflictError, NotFoundError, SpecError, shown

EventName = Literal[
    "version.registered", "version.promoted", "version.rolled_back", "version.archived", "version.deleted",
    "monitor.alarm",
]  # fmt: skip
MAX_ERROR_CHARS = 300
_ID = re.compile(r"whd_[0-9a-f]{28}")
"""Microseconds, so that ids sort by age, and random digits."""


class WebhookEvent(WireModel):
    """The body of a webhook: something that happened to a version of a model."""

    id: str
    """The same for every delivery of the event: a receiver that has seen it does nothing."""
    type: EventName
    created_at: datetime
    model: str
    version: str | None = None
    data: dict[str, Any] = {}
    """By type: of a registration metrics, gate and job_id; of what a person did `by` and `reason`."""
    links: dict[str, str] = {}


class DeliveryStatus(StrEnum):
    """States of a delivery."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


class Delivery(WireModel):
    """An event on its way to one receiver."""

    id: str
    webhook: str
    event: WebhookEvent
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_at: datetime
    """When the next attempt is due."""
    finished_at: datetime | None = None
    last_error: str | None = None


class DeliveryPage(WireModel):
    """Deliveries, newest first."""

    items: list[Delivery]
    next_cursor: str | None = None


class WebhookStore:
    """Deliveries in the job store; every method is one transaction. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(self, event: WebhookEvent, webhooks: Sequence[str]) -> None:
        """Stores the event for each receiver; one that has it already is left alone."""
        now = self._clock()
        self._database.write(lambda connection: add_deliveries(connection, event, webhooks, now), repeatable=True)

    def due(self, busy: Collection[str] = (), limit: int = 32) -> list[Delivery]:
        """Deliveries whose next attempt is due, oldest first, without those to receivers that are busy."""
        wanted = select(table).where(table.c.status == DeliveryStatus.PENDING, table.c.next_at <= self._clock())
        free = wanted.where(table.c.webhook.not_in(busy))
        return self._read(free.order_by(table.c.next_at, table.c.id).limit(limit))

    def page(self, status: DeliveryStatus | None, limit: int = 50, cursor: str | None = None) -> DeliveryPage:
        """Deliveries, newest first; the cursor is the last id of the page before.

        Raises:
            SpecError: the cursor is not one of ours.
        """
        wanted = select(table) if status is None else select(table).where(table.c.status == status)
        if cursor is not None:
            if _ID.fullmatch(cursor) is None:
                raise SpecError.at("cursor", cursor, "is not the next_cursor of a list of deliveries")
            wanted = wanted.where(table.c.id < cursor)
        found = self._read(wanted.order_by(table.c.id.desc()).limit(limit + 1))
        items = found[:limit]
        return DeliveryPage(items=items, next_cursor=items[-1].id if len(found) > limit else None)

    def delivered(self, delivery: Delivery) -> None:
        """The receiver has it."""
        self._settle(delivery, status=DeliveryStatus.DELIVERED, finished_at=self._clock(), last_error=None)

    def failed(self, delivery: Delivery, error: str, again_at: datetime | None) -> None:
        """The attempt failed; with `again_at` None it was the last one, and the delivery is dead."""
        error = error[:MAX_ERROR_CHARS]
        if again_at is None:
            self._settle(delivery, status=DeliveryStatus.DEAD, finished_at=self._clock(), last_error=error)
        else:
            self._settle(delivery, status=DeliveryStatus.PENDING, next_at=again_at, last_error=error)

    def replay(self, delivery_id: str) -> Delivery:
        """Lets a dead or delivered one go out again, at once and with all its attempts.

        Raises:
            NotFoundError: no such delivery.
            ConflictError: it is on its way.
        """
        now = self._clock()

        def again(connection: Connection) -> Delivery:
            row = connection.execute(select(table).where(table.c.id == delivery_id)).mappings().one_or_none()
            if row is None:
                raise NotFoundError.at("delivery_id", delivery_id, f"no delivery {shown(delivery_id)!r}")
            if row["status"] == DeliveryStatus.PENDING:
                raise ConflictError(f"delivery {delivery_id} is on its way already")
            values = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_at": now, "finished_at": None}
            connection.execute(update(table).where(table.c.id == delivery_id).values(values))
            return _delivery({**row, **values})

        return self._database.write(again)

    def _settle(self, delivery: Delivery, **values: Any) -> None:
        where = (table.c.id == delivery.id, table.c.attempts == delivery.attempts)
        changed = update(table).where(*where).values(attempts=delivery.attempts + 1, **values)
        self._database.write(lambda connection: connection.execute(changed), repeatable=True)

    def _read(self, wanted: Any) -> list[Delivery]:
        def read(connection: Connection) -> list[Delivery]:
            return [_delivery(row) for row in connection.execute(wanted).mappings()]

        return self._database.read(read)


def add_deliveries(connection: Connection, event: WebhookEvent, webhooks: Sequence[str], now: datetime) -> None:
    """Within the caller's transaction, so that an event and what it tells of are stored together."""
    body = event.model_dump(mode="json")
    for webhook in webhooks:
        row = {
            "id": f"whd_{int(now.timestamp() * 1e6):016x}{secrets.token_hex(6)}", "event_id": event.id,
            "event_type": event.type, "webhook": webhook, "body": body, "status": DeliveryStatus.PENDING,
            "attempts": 0, "created_at": now, "next_at": now,
        }  # fmt: skip
        try:
            with connection.begin_nested():
                connection.execute(insert(table).values(row))
        except IntegrityError:
            known = select(table.c.id).where(table.c.event_id == event.id, table.c.webhook == webhook)
            if connection.scalar(known) is None:
                raise


def _delivery(row: RowMapping | dict[str, Any]) -> Delivery:
    names = ("id", "webhook", "status", "attempts", "created_at", "next_at", "finished_at", "last_error")
    return Delivery(event=WebhookEvent.model_validate(row["body"]), **{name: row[name] for name in names})
