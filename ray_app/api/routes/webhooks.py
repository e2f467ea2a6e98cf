"""Webhooks: who is told, what is on its way, what could not be delivered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from ray_app.api.auth import APPROVER
from ray_app.api.context import Use
from ray_app.api.parameters import Cursor, Limit, known_parameters
from ray_app.api.responses import API, documented, json_response
from ray_app.jobs.webhooks import Delivery, DeliveryPage, DeliveryStatus
from ray_app.services.deliveries import WebhookPage

router = APIRouter(
    prefix=f"{API}/webhooks", tags=["webhooks"], dependencies=[Depends(known_parameters), Depends(APPROVER)]
)

Status = Annotated[DeliveryStatus | None, Query(description="DEAD lists what could not be delivered.")]


@router.get("", response_model=None, responses=documented(WebhookPage, 429))
async def list_webhooks(services: Use) -> Response:
    """The receivers of the operator's list, without their secrets."""
    return json_response(services.webhooks.page())


@router.get("/deliveries", response_model=None, responses=documented(DeliveryPage, 422, 429))
async def list_deliveries(
    services: Use, *, status: Status = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Deliveries, newest first."""
    return json_response(await services.webhooks.deliveries(status, limit, cursor))


@router.post(
    "/deliveries/{delivery_id}/replay", response_model=None, responses=documented(Delivery, 404, 409, 429, success=202)
)
async def replay(delivery_id: str, services: Use) -> Response:
    """Sends a dead or delivered one again."""
    return json_response(await services.webhooks.replay(delivery_id), 202)
