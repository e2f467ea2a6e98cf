"""Whether the service lives, and whether it can take work."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from ray_app.api.auth import public
from ray_app.api.context import Use
from ray_app.api.errors import not_ready_response
from ray_app.api.responses import json_response
from ray_app.api.schemas.health import Alive, Ready
from ray_app.services.readiness import OK

router = APIRouter(tags=["health"])


@router.get("/healthz", dependencies=[Depends(public)], response_model=None, responses={200: {"model": Alive}})
async def healthz() -> Response:
    """The process answers; says nothing of what it depends on."""
    return json_response(Alive())


@router.get(
    "/readyz",
    dependencies=[Depends(public)],
    response_model=None,
    responses={200: {"model": Ready}, 503: {"description": ""}},
)
async def readyz(request: Request, services: Use) -> Response:
    """200 when the dispatcher, the store, the cluster and the registry can be reached; else 503 says which cannot."""
    components = await services.readiness.check()
    if services.keys is not None:  # anybody may ask, so the reasons stay in the log
        components = {name: state if state == OK else "unavailable" for name, state in components.items()}
    if any(state != OK for state in components.values()):
        return not_ready_response(request, components)
    return json_response(Ready(components=components))
