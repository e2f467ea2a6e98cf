"""The models resource."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from ray_app.api.auth import VIEWER, Trainer, require
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.openapi import request_body
from ray_app.api.parameters import Cursor, Limit, known_parameters
from ray_app.api.responses import API, documented, json_response, report_response
from ray_app.api.schemas.models import PROMOTE_EXAMPLES, ROLLBACK_EXAMPLES, PromoteRequest, RollbackRequest
from ray_app.services.keys import Role
from training.evaluation.report import Report
from training.registry.model import ModelInfo, ModelPage, VersionInfo
from training.spec import parse_spec

router = APIRouter(prefix=f"{API}/models", tags=["models"], dependencies=[Depends(known_parameters)])


@router.get("", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(ModelPage, 422, 429))
async def list_models(services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Registered models, each with its newest version."""
    return json_response(await services.models.page(limit=limit, cursor=cursor))


@router.get("/{name}", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(ModelInfo, 404, 429))
async def get_model(name: str, services: Use) -> Response:
    """A model with all its versions."""
    return json_response(await services.models.model(name))


@router.get(
    "/{name}/versions/{version}",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses=documented(VersionInfo, 404, 429),
)
async def get_version(name: str, version: str, services: Use) -> Response:
    """A version: metrics with intervals, aliases, lineage."""
    return json_response(await services.models.version(name, version))


@router.get(
    "/{name}/versions/{version}/report",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses=documented(Report, 404, 429),
)
async def get_report(name: str, version: str, request: Request, services: Use) -> Response:
    """The evaluation report: a page for a browser (`Accept: text/html`), JSON for everyone else."""
    report, status = await services.models.report(name, version)
    return report_response(report, status, accept=request.headers.get("accept", ""))


@router.post(
    "/{name}/versions/{version}/promote",
    response_model=None,
    responses=documented(ModelInfo, 400, 404, 409, 413, 415, 422, 429),
    openapi_extra=request_body(PromoteRequest, PROMOTE_EXAMPLES, required=False),
)
async def promote(name: str, version: str, request: Request, services: Use, caller: Trainer) -> Response:
    """Makes the version the champion; past the gate (`force`) only for an approver with a reason."""
    asked = parse_spec(PromoteRequest, await read_body(request, default={}))
    if asked.force:
        require(caller, Role.APPROVER)
    return json_response(
        await services.models.promote(name, version, reason=asked.reason, force=asked.force, by=caller.id)
    )


@router.post(
    "/{name}/rollback",
    response_model=None,
    responses=documented(ModelInfo, 400, 404, 409, 413, 415, 422, 429),
    openapi_extra=request_body(RollbackRequest, ROLLBACK_EXAMPLES, required=False),
)
async def rollback(name: str, request: Request, services: Use, caller: Trainer) -> Response:
    """Makes the previous champion the champion again."""
    asked = parse_spec(RollbackRequest, await read_body(request, default={}))
    return json_response(await services.models.rollback(name, reason=asked.reason, by=caller.id))
