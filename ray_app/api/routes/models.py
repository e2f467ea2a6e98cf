"""The models resource."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from ray_app.api.auth import VIEWER, Trainer, require
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.openapi import request_body
from ray_app.api.parameters import Cursor, Limit, VersionOrAlias, known_parameters
from ray_app.api.responses import API, archive_response, documented, json_response, problems, report_response
from ray_app.api.schemas.models import (
    ARCHIVE_EXAMPLES,
    PROMOTE_EXAMPLES,
    ROLLBACK_EXAMPLES,
    ArchiveRequest,
    PromoteRequest,
    RollbackRequest,
)
from ray_app.services.keys import Role
from training.evaluation.report import Report
from training.registry.model import AuditLog, ModelInfo, ModelPage, VersionInfo
from training.registry.versus import VersionComparison
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


@router.get(
    "/{name}/versions/{version}/bundle",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses={
        200: {"content": {"application/zip": {}}, "description": "The archive; its digest is the ETag."},
        **problems(404, 429),
    },
)
async def get_bundle(name: str, version: str, services: Use) -> Response:
    """The hand-off archive: the model, golden rows, schema, reference profile, card, and `verify.py`."""
    return await archive_response(lambda folder: services.models.bundle(name, version, folder))


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


@router.get(
    "/{name}/compare",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses=documented(VersionComparison, 404, 422, 429),
)
async def compare(name: str, a: VersionOrAlias, b: VersionOrAlias, services: Use) -> Response:
    """Version b against version a, each by number or alias: metrics, differences on common rows, lineage."""
    return json_response(await services.models.compare(name, a, b))


@router.get(
    "/{name}/audit", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(AuditLog, 404, 429)
)
async def audit(name: str, services: Use) -> Response:
    """Who did what to the versions of a model, when and why; newest first."""
    return json_response(await services.models.audit(name))


@router.post(
    "/{name}/versions/{version}/archive",
    response_model=None,
    responses=documented(VersionInfo, 400, 404, 409, 413, 415, 422, 429),
    openapi_extra=request_body(ArchiveRequest, ARCHIVE_EXAMPLES, required=False),
)
async def archive(name: str, version: str, request: Request, services: Use, caller: Trainer) -> Response:
    """Puts a version away, so that it cannot be promoted; refused while an alias points at it."""
    asked = parse_spec(ArchiveRequest, await read_body(request, default={}))
    return json_response(
        await services.models.archive(name, version, reason=asked.reason, by=caller.id, away=asked.archived)
    )


@router.delete(
    "/{name}/versions/{version}",
    response_model=None,
    responses={204: {"description": "Deleted."}, **problems(404, 409, 429)},
)
async def delete_version(
    name: str, version: str, services: Use, caller: Trainer, reason: Annotated[str, Query(max_length=2000)] = ""
) -> Response:
    """Deletes a version for good (role approver); refused while an alias points at it."""
    require(caller, Role.APPROVER)
    await services.models.delete(name, version, reason=reason, by=caller.id)
    return Response(status_code=204)
