"""POST /evaluate."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from ray_app.api.auth import TRAINER, StartsJob
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.errors import failed_job_response
from ray_app.api.openapi import request_body
from ray_app.api.parameters import IdempotencyKey, WaitS, known_parameters
from ray_app.api.responses import API, accepted, documented, job_location, json_response
from ray_app.api.schemas.evaluate import EVALUATE_EXAMPLES
from ray_app.jobs.model import Job, JobStatus
from training.result import EvaluationResult
from training.spec import EvaluateSpec

router = APIRouter(prefix=API, tags=["evaluate"], dependencies=[Depends(known_parameters)])


@router.post(
    "/evaluate",
    dependencies=[Depends(TRAINER)],
    response_model=None,
    responses={**documented(EvaluationResult, 400, 404, 409, 413, 415, 422, 429), 202: {"model": Job}},
    openapi_extra=request_body(EvaluateSpec, EVALUATE_EXAMPLES),
)
async def evaluate(
    request: Request, services: Use, by: StartsJob, *, wait_s: WaitS = 30, idempotency_key: IdempotencyKey = None
) -> Response:
    """Measures a model against data: 200 with the report when done within `wait_s`, else 202 with the job."""
    spec = await read_body(request)
    job = await services.evaluate.evaluate(spec, wait_s=wait_s, idempotency_key=idempotency_key, by=by)
    if not job.status.final:
        return accepted(job)
    if job.status is not JobStatus.SUCCEEDED:
        return failed_job_response(request, job, job_location(job))
    report = EvaluationResult.model_validate(job.result)
    return json_response(report, headers={"Location": job_location(job)})
