"""The trials of a job."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from ray_app.api.auth import VIEWER
from ray_app.api.context import Use
from ray_app.api.parameters import Cursor, Limit, known_parameters
from ray_app.api.responses import API, documented, json_response
from ray_app.services.trials import TrialPage

router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"], dependencies=[Depends(known_parameters)])


@router.get(
    "/{job_id}/trials",
    dependencies=[Depends(VIEWER)],
    response_model=None,
    responses=documented(TrialPage, 404, 422, 429),
)
async def list_trials(job_id: str, services: Use, *, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Configurations that the job's search has tried, by number; empty for a job without a search."""
    return json_response(await services.trials.page(job_id, limit=limit, cursor=cursor))
