"""The monitors resource."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from ray_app.api.auth import TRAINER, VIEWER
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.errors import UnsupportedMediaError, failed_job_response
from ray_app.api.openapi import request_body
from ray_app.api.parameters import Cursor, Limit, WaitS, known_parameters
from ray_app.api.responses import API, accepted, documented, job_location, json_response
from ray_app.api.schemas.monitors import MONITOR_EXAMPLES, OUTCOMES_EXAMPLE, PREDICTIONS_EXAMPLE, inflow_body
from ray_app.jobs.model import Job
from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage
from ray_app.services.assembly import Services
from training.monitoring.bodies import BODY_TYPES
from training.monitoring.page import CSP
from training.monitoring.results import InflowReceipt, MonitorReport
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import Stream

router = APIRouter(prefix=f"{API}/monitors", tags=["monitors"], dependencies=[Depends(known_parameters)])
INFLOW_PATH = rf"{API}/monitors/[^/]+/(predictions|outcomes)"
"""Addresses that take large bodies."""
Accept = Annotated[str, Header(description="text/html for the page, else JSON.")]
BATCH_ERRORS = (400, 404, 413, 415, 422, 429)


def _inflow(example: dict[str, Any]) -> dict[str, Any]:
    """What the addresses of both streams have in common."""
    return {
        "dependencies": [Depends(TRAINER)],
        "response_model": None,
        "responses": documented(InflowReceipt, *BATCH_ERRORS),
        "openapi_extra": inflow_body(example),
    }


@router.post(
    "",
    dependencies=[Depends(TRAINER)],
    status_code=201,
    response_model=None,
    responses={**documented(Monitor, 400, 404, 409, 413, 415, 422, 429, success=201), 200: {"model": Monitor}},
    openapi_extra=request_body(MonitorSpec, MONITOR_EXAMPLES),
)
async def create_monitor(request: Request, services: Use) -> Response:
    """Watches a model: 201; 200 where the same monitor is there, 409 where another one has the name."""
    monitor, new = await services.monitors.put(await read_body(request), replace=False)
    return json_response(monitor, 201 if new else 200, {"Location": f"{API}/monitors/{monitor.name}"})


@router.put(
    "/{name}",
    dependencies=[Depends(TRAINER)],
    response_model=None,
    responses=documented(Monitor, 400, 404, 413, 415, 422, 429),
    openapi_extra=request_body(MonitorSpec, MONITOR_EXAMPLES),
)
async def replace_monitor(name: str, request: Request, services: Use) -> Response:
    """Makes or changes a monitor; its stream and its alarms stay."""
    monitor, _ = await services.monitors.put(await read_body(request), replace=True, name=name)
    return json_response(monitor)


@router.get("", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(MonitorPage, 422))
async def list_monitors(services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Monitors by name."""
    return json_response(await services.monitors.page(limit=limit, cursor=cursor))


@router.get("/{name}", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(Monitor, 404))
async def get_monitor(name: str, services: Use) -> Response:
    """A monitor."""
    return json_response(await services.monitors.get(name))


@router.delete(
    "/{name}",
    dependencies=[Depends(TRAINER)],
    status_code=204,
    response_class=Response,
    responses={404: {"description": ""}, 429: {"description": ""}},
)
async def delete_monitor(name: str, services: Use) -> Response:
    """Forgets a monitor, its alarms, and deletes its stream."""
    await services.monitors.remove(name)
    return Response(status_code=204)


@router.post("/{name}/predictions", **_inflow(PREDICTIONS_EXAMPLE))
async def post_predictions(name: str, request: Request, services: Use) -> Response:
    """Keeps up to 100,000 predictions; the same batch again, or a row again, changes nothing."""
    return await _receive(name, "predictions", request, services)


@router.post("/{name}/outcomes", **_inflow(OUTCOMES_EXAMPLE))
async def post_outcomes(name: str, request: Request, services: Use) -> Response:
    """Keeps up to 100,000 outcomes, which may come before their predictions or weeks later."""
    return await _receive(name, "outcomes", request, services)


@router.get(
    "/{name}/report",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses={
        **documented(MonitorReport, 404, 422, 429),
        200: {"model": MonitorReport, "content": {"text/html": {"example": "<!doctype html>…"}}},
        202: {"model": Job},
    },
)
async def get_report(
    name: str, request: Request, services: Use, *, wait_s: WaitS = 30, accept: Accept = "application/json"
) -> Response:
    """All windows against the reference: 200 when it is made within `wait_s`, else 202 with the job that makes it."""
    report, job = await services.monitors.report(name, wait_s=wait_s)
    if report is None and job is not None:
        return failed_job_response(request, job, job_location(job)) if job.status.final else accepted(job)
    if report is None:
        raise AssertionError("a report or the job that makes it")
    if "text/html" in accept:
        page = await services.monitors.page_of_report(report)
        return Response(page, headers={"Content-Security-Policy": CSP}, media_type="text/html; charset=utf-8")
    return json_response(report)


@router.get(
    "/{name}/alarms", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(AlarmPage, 404, 422)
)
async def list_alarms(name: str, services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Alarms, newest first, and what was done about them."""
    return json_response(await services.monitors.alarms(name, limit=limit, cursor=cursor))


async def _receive(name: str, stream: Stream, request: Request, services: Services) -> Response:
    kind = request.headers.get("content-type", "application/x-ndjson").partition(";")[0].strip().lower()
    if kind not in BODY_TYPES:
        raise UnsupportedMediaError(f"the content type {kind!r} is not one of {', '.join(BODY_TYPES)}")
    with services.monitors.place_for_a_body():
        receipt = await services.monitors.receive(name, stream, await request.body(), kind)
    if not receipt.repeated:
        lag_s = (datetime.now(UTC) - receipt.newest).total_seconds()
        request.app.state.metrics.received(name, stream, receipt.accepted, lag_s)
    return json_response(receipt)
