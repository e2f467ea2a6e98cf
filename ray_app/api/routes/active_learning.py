"""The pools of active learning."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from ray_app.api.auth import TRAINER, VIEWER, Trainer, public
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.openapi import free_body, request_body
from ray_app.api.pages.labelling import labelling_page
from ray_app.api.parameters import Cursor, IdempotencyKey, Limit, WaitS, known_parameters
from ray_app.api.responses import API, documented, json_response
from ray_app.api.schemas.active_learning import (
    LABEL_STUDIO_EXAMPLES,
    LABELS_EXAMPLES,
    POOL_EXAMPLES,
    QUERY_EXAMPLES,
    WEBHOOK_EXAMPLES,
)
from ray_app.services.active_learning import Batch, LabelHistory, LabelsAnswer, LabelsRequest, QueryRequest
from ray_app.services.pool_report import PoolInfo, PoolPage
from training.active_learning.spec import PoolSpec

Signature = Annotated[str | None, Header(max_length=500)]
POOLS = f"{API}/active-learning/pools"
router = APIRouter(prefix=POOLS, tags=["active learning"], dependencies=[Depends(known_parameters)])


@router.post(
    "",
    dependencies=[Depends(TRAINER)],
    status_code=201,
    response_model=None,
    responses=documented(PoolInfo, 400, 404, 409, 413, 415, 422, 429, success=201),
    openapi_extra=request_body(PoolSpec, POOL_EXAMPLES),
)
async def create_pool(request: Request, services: Use, *, idempotency_key: IdempotencyKey = None) -> Response:
    """Makes a pool of rows to label; its first rows are being chosen when this answers."""
    pool = await services.active_learning.create(await read_body(request), idempotency_key=idempotency_key)
    return json_response(pool, 201, {"Location": f"{POOLS}/{pool.id}"})


@router.get("", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(PoolPage, 422))
async def list_pools(services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Pools, newest first."""
    return json_response(await services.active_learning.list(limit=limit, cursor=cursor))


@router.get("/{pool_id}", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(PoolInfo, 404))
async def get_pool(pool_id: str, services: Use) -> Response:
    """A pool: how far it is, learning curves of both arms, whether to stop."""
    return json_response(await services.active_learning.get(pool_id))


@router.post(
    "/{pool_id}/query",
    response_model=None,
    responses=documented(Batch, 400, 404, 413, 415, 422),
    openapi_extra=request_body(QueryRequest, QUERY_EXAMPLES, required=False),
)
async def query_pool(
    pool_id: str, request: Request, services: Use, caller: Trainer, *, wait_s: WaitS = 0
) -> Response:  # fmt: skip
    """Hands rows to a labeller for a while: those that it holds already, then others; waits for the first."""
    asked = await read_body(request, default={})
    return json_response(await services.active_learning.query(pool_id, asked, caller=caller.id, wait_s=wait_s))


@router.post(
    "/{pool_id}/labels",
    response_model=None,
    responses=documented(LabelsAnswer, 400, 404, 409, 413, 415, 422),
    openapi_extra=request_body(LabelsRequest, LABELS_EXAMPLES),
)
async def label_rows(pool_id: str, request: Request, services: Use, caller: Trainer) -> Response:
    """Stores labels, all of them or none; the same again changes nothing, another label is a correction."""
    return json_response(await services.active_learning.label(pool_id, await read_body(request), caller=caller.id))


@router.get(
    "/{pool_id}/labels", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(LabelHistory, 404)
)
async def label_history(pool_id: str, services: Use) -> Response:
    """Everything that labellers said, corrections and disagreement included."""
    return json_response(await services.active_learning.history(pool_id))


@router.get(
    "/{pool_id}/page",
    dependencies=[Depends(public)],
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "<!doctype html>"}}}},
)
async def show_page(pool_id: str) -> Response:  # noqa: ARG001 - the page reads it from its own address
    """The page for labellers. It holds no data: it asks for a name and a key, and fetches rows with them."""
    return labelling_page()


@router.get(
    "/{pool_id}/label-studio",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses={200: {"description": "Tasks"}, 404: {"description": ""}},
)
async def export_tasks(pool_id: str, services: Use) -> Response:
    """Rows that wait for a label, as tasks to import into Label Studio."""
    return JSONResponse(await services.label_studio.tasks(pool_id))


@router.get(
    "/{pool_id}/label-studio/config",
    dependencies=[Depends(VIEWER)],
    response_class=PlainTextResponse,
    responses={404: {"description": ""}},
)
async def labelling_config(pool_id: str, services: Use) -> Response:
    """The labelling interface for a project of Label Studio."""
    return PlainTextResponse(await services.label_studio.config(pool_id))


@router.post(
    "/{pool_id}/label-studio",
    dependencies=[Depends(TRAINER)],
    response_model=None,
    responses=documented(LabelsAnswer, 400, 404, 409, 413, 415, 422),
    openapi_extra=free_body(LABEL_STUDIO_EXAMPLES),
)
async def import_annotations(pool_id: str, request: Request, services: Use) -> Response:
    """Takes in the annotations of a JSON export of Label Studio."""
    return json_response(await services.label_studio.take_in(pool_id, await read_body(request)))


@router.post(
    "/{pool_id}/label-studio/webhook",
    dependencies=[Depends(public)],
    response_model=None,
    responses={**documented(LabelsAnswer, 400, 404, 409, 413, 422), 204: {"description": "About something else."}},
    openapi_extra=free_body(WEBHOOK_EXAMPLES),
)
async def label_studio_event(
    pool_id: str,
    request: Request,
    services: Use,
    *,
    x_signature_256: Signature = None,
    x_webhook_token: Signature = None,
) -> Response:
    """Takes in an event of Label Studio's webhook; it must prove that it knows MTS_LABEL_STUDIO_SECRET."""
    answer = await services.label_studio.webhook(
        pool_id, await request.body(), signature=x_signature_256, token=x_webhook_token
    )
    return Response(status_code=204) if answer is None else json_response(answer)
