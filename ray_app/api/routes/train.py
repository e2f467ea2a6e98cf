"""POST /train."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from ray_app.api.auth import TRAINER, StartsJob
from ray_app.api.body import read_body
from ray_app.api.context import Use
from ray_app.api.openapi import request_body
from ray_app.api.parameters import IdempotencyKey, known_parameters
from ray_app.api.responses import API, accepted, documented, json_response
from ray_app.api.schemas.train import TRAIN_EXAMPLES
from ray_app.jobs.model import Job
from training.pipeline import Plan
from training.spec import TrainSpec

router = APIRouter(prefix=API, tags=["train"], dependencies=[Depends(known_parameters)])
DryRun = Annotated[bool, Query(description="Answer 200 with the plan; nothing is run.")]


@router.post(
    "/train",
    dependencies=[Depends(TRAINER)],
    status_code=202,
    response_model=None,
    responses={**documented(Job, 400, 409, 413, 415, 422, 429, success=202), 200: {"model": Plan}},
    openapi_extra=request_body(TrainSpec, TRAIN_EXAMPLES),
)
async def train(
    request: Request, services: Use, by: StartsJob, *, dry_run: DryRun = False, idempotency_key: IdempotencyKey = None
) -> Response:
    """Trains a model: 202 with the job, whose progress and result are at `Location`."""
    spec = await read_body(request)
    if dry_run:
        return json_response(await services.train.plan(spec))
    return accepted(await services.train.submit(spec, idempotency_key=idempotency_key, by=by))
