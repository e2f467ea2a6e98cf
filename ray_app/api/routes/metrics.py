"""Prometheus metrics."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from ray_app.api.auth import VIEWER
from ray_app.api.context import Use
from ray_app.api.responses import problems
from ray_app.jobs.model import JobStats
from ray_app.jobs.port import Jobs
from training.errors import UnavailableError

logger = logging.getLogger("ray_app.api")
router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses={200: {"content": {"text/plain": {"example": 'mts_jobs{status="RUNNING"} 2.0\n'}}}, **problems()},
)
async def metrics(request: Request, services: Use) -> Response:
    """Jobs by status, their waiting, and this process's requests, in the Prometheus text format."""
    text = request.app.state.metrics.render(await _stats(services.jobs))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _stats(jobs: Jobs) -> JobStats | None:
    """None where the dispatcher is away: that is a figure too (`mts_dispatcher_up`)."""
    try:
        return await jobs.stats()
    except UnavailableError as error:
        logger.warning("metrics without jobs: %s", error)
        return None
