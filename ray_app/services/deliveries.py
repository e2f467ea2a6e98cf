"""Webhooks as the endpoints see them."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from ray_app.jobs.model import WireModel
from ray_app.jobs.port import Outbox
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus, EventName, WebhookEvent
from ray_app.services.announcements import of_act
from ray_app.services.webhooks import WebhookList
from ray_app.settings import Settings
from training.errors import UnavailableError

logger = logging.getLogger("ray_app.webhooks")


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

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox = outbox
        self._webhooks = WebhookList(settings.webhooks_file)
        self._service_url = settings.service_url

    def page(self) -> WebhookPage:
        """The receivers of the operator's list."""
        return WebhookPage(
            items=[
                ShownWebhook(id=one.id, url=urlsplit(one.url)._replace(query="", fragment="").geturl(),
                             events=one.events, models=one.models)
                for one in self._webhooks.now().values()
            ]
        )  # fmt: skip

    async def deliveries(self, status: DeliveryStatus | None, limit: int) -> DeliveryPage:
        """Deliveries, newest first."""
        return DeliveryPage(items=await self._outbox.deliveries(status, limit))

    async def replay(self, delivery_id: str) -> Delivery:
        """Lets a delivery go out again.

        Raises:
            NotFoundError: no such delivery.
            ConflictError: it is on its way.
        """
        return await self._outbox.replay(delivery_id)

    async def announce(self, kind: EventName, model: str, version: str, *, by: str, reason: str) -> None:
        """Tells the receivers what somebody did. It is done already: that nobody could be told is logged."""
        event: WebhookEvent = of_act(kind, model, version, self._service_url, by=by, reason=reason)
        try:
            await self._outbox.publish(event)
        except UnavailableError as error:
            logger.warning("%s of %s version %s was not announced: %s", kind, model, version, error.message)
