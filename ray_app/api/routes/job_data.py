"""The data of a job: done again from its snapshot."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from ray_app.api.auth import TRAINER
from ray_app.api.context import Use
from ray_app.api.parameters import IdempotencyKey, known_parameters
from ray_app.api.responses import API, accepted, documented
from ray_app.jobs.model import Job

router = APIRouter(prefix=f"{API}/jobs", tags=["data"], dependencies=[Depends(known_parameters)])


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
