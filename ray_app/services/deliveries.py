"""Webhooks as the endpoints see them."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from ray_app.jobs.model import WireModel
from ray_app.jobs.port import Outbox
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, EventName, WebhookEvent
from ray_app.services.announcements import of_act
from ray_app.services.spool import Spool
from ray_app.services.webhooks import WebhookList
from ray_app.settings import Settings
from training.errors import UnavailableError

logger = logging.getLogger("ray_app.webhooks")

AGAIN_S = 2.0
"""Between two attempts to reach the dispatcher."""


class ShownWebhook(WireModel):
    """A receiver, without its secret."""

    id: str
    url: str
    """Without query, which may hold a secret."""
    events: list[EventName] | None
    models: list[str]


class WebhookPage(WireModel):
    """The receivers."""

    items: list[ShownWebhook]


class WebhookService:
    """Lists, replays and announces."""

    def __init__(self, outbox: Outbox, settings: Settings, *, again_s: float = AGAIN_S) -> None:
        self._outbox = outbox
        self._webhooks = WebhookList(settings.webhooks_file)
        self._service_url = settings.service_url
        self._spool = Spool(settings.home_path / "outbox")
        self._again_s = again_s
        self._telling: asyncio.Task[None] | None = None
        self._more = False

    def page(self) -> WebhookPage:
        """The receivers of the operator's list."""
        return WebhookPage(
            items=[
                ShownWebhook(id=one.id, url=urlsplit(one.url)._replace(query="", fragment="").geturl(),
                             events=one.events, models=one.models)
                for one in self._webhooks.now().values()
            ]
        )  # fmt: skip

    async def deliveries(self, status: DeliveryStatus | None, limit: int, cursor: str | None) -> DeliveryPage:
        """Deliveries, newest first."""
        return await self._outbox.deliveries(status, limit, cursor)

    async def replay(self, delivery_id: str) -> Delivery:
        """Lets a delivery go out again.

        Raises:
            NotFoundError: no such delivery.
            ConflictError: it is on its way.
        """
        return await self._outbox.replay(delivery_id)

    async def announce(self, kind: EventName, model: str, version: str, *, by: str, reason: str) -> None:
        """Tells the receivers what somebody did. It is done already: where the dispatcher is away, the event waits on
        the disk, and is told when it is back."""
        event = of_act(kind, model, version, self._service_url, by=by, reason=reason)
        try:
            await asyncio.to_thread(self._spool.keep, event)
        except OSError as error:
            logger.warning("%s cannot be kept: %s", event.id, error.strerror)
        if not await self._told(event):
            self._later()

    def start(self) -> None:
        """Tells what an earlier process of this service could not."""
        self._later()

    def close(self) -> None:
        """What waits is told by the next process."""
        if self._telling is not None:
            self._telling.cancel()

    def _later(self) -> None:
        self._more = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while True:
            self._more = False
            waiting = await asyncio.to_thread(self._spool.waiting)
            if not waiting and not self._more:
                return
            told = [await self._told(event) for event in waiting]
            if not all(told):
                await asyncio.sleep(self._again_s)

    async def _told(self, event: WebhookEvent) -> bool:
        try:
            await self._outbox.publish(event)
        except UnavailableError as error:
            logger.warning("%s of %s version %s waits: %s", event.type, event.model, event.version, error.message)
            return False
        await asyncio.to_thread(self._spool.told, event)
        return True
