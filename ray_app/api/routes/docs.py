"""The description of the API, for programs and for people."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import HTMLResponse, JSONResponse

from ray_app.api.auth import VIEWER
from ray_app.api.openapi import document
from ray_app.api.reference import render

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json", dependencies=[Depends(VIEWER)], response_model=None)
async def openapi_json(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(document(request.app))


@router.get("/docs", dependencies=[Depends(VIEWER)], response_model=None)
async def docs(request: Request) -> Response:
    """The same as a page."""
    return HTMLResponse(render(document(request.app)))
