"""The data of a job: what they look like, and the job done again from its snapshot."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from starlette.responses import HTMLResponse

from ray_app.api.auth import TRAINER, VIEWER
from ray_app.api.context import Use
from ray_app.api.parameters import IdempotencyKey, known_parameters
from ray_app.api.responses import API, accepted, documented, json_response
from ray_app.jobs.model import Job
from training.data.profiling import DataReport, page

router = APIRouter(prefix=f"{API}/jobs", tags=["data"], dependencies=[Depends(known_parameters)])
Accept = Annotated[str, Header(description="text/html gives a page for people.")]


@router.get(
    "/{job_id}/data", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(DataReport, 404)
)
async def get_job_data(job_id: str, services: Use, *, accept: Accept = "application/json") -> Response:
    """The profile of every column and the findings of every check; a page with `Accept: text/html`."""
    report = await services.job_data.report(job_id)
    if "text/html" in accept:
        return HTMLResponse(page(report))
    return json_response(report)


@router.post(
    "/{job_id}/reproduce",
    dependencies=[Depends(TRAINER)],
    status_code=202,
    response_model=None,
    responses=documented(Job, 404, 409, 422, success=202),
)
async def reproduce_job(job_id: str, services: Use, *, idempotency_key: IdempotencyKey = None) -> Response:
    """Trains again from the job's snapshot; the new job's result states the difference in each metric."""
    return accepted(await services.reproduce.reproduce(job_id, idempotency_key=idempotency_key))
