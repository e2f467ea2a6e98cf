"""The jobs resource."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.responses import StreamingResponse

from ray_app.api.auth import TRAINER, VIEWER, StartsJob
from ray_app.api.context import Use
from ray_app.api.parameters import WaitS, known_parameters
from ray_app.api.responses import API, accepted, documented, json_response, problems
from ray_app.api.schemas.jobs import JobFilters
from ray_app.api.streams import as_events, resumed
from ray_app.jobs.model import Job, JobPage
from ray_app.services.follow import follow_events, read_log

router = APIRouter(prefix=f"{API}/jobs", tags=["jobs"], dependencies=[Depends(known_parameters)])
Follow = Annotated[bool, Query(description="Go on until the job is over.")]
LastEventId = Annotated[int, Header(ge=0, le=2**53, description="`id` of the last event that was seen.")]
EVENT_STREAM = {"content": {"text/event-stream": {"example": 'id: 1\nevent: state\ndata: {"status": "PENDING"}\n\n'}}}
UNBUFFERED = {"X-Accel-Buffering": "no"}  # nginx would hold a stream back
TEXT = {"content": {"text/plain": {"example": "INFO 1000 rows, 21 columns\n"}}}


@router.get("", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(JobPage, 422))
async def list_jobs(services: Use, filters: Annotated[JobFilters, Query()]) -> Response:
    """Jobs, newest first."""
    return json_response(await services.jobs.list(filters))


@router.get("/{job_id}", dependencies=[Depends(VIEWER)], response_model=None, responses=documented(Job, 404, 422))
async def get_job(job_id: str, services: Use, *, wait_s: WaitS = 0) -> Response:
    """The job; with `wait_s` as soon as it is final, or when the time is over."""
    return json_response(await services.jobs.get(job_id, wait_s=wait_s))


@router.post(
    "/{job_id}/cancel",
    dependencies=[Depends(TRAINER)],
    status_code=202,
    response_model=None,
    responses=documented(Job, 404, 409, success=202),
)
async def cancel_job(job_id: str, services: Use) -> Response:
    """Asks the job to stop; a final job answers 409."""
    return accepted(await services.jobs.cancel(job_id))


@router.post(
    "/{job_id}/retry",
    dependencies=[Depends(TRAINER)],
    status_code=202,
    response_model=None,
    responses=documented(Job, 404, 409, success=202),
)
async def retry_job(job_id: str, services: Use, by: StartsJob) -> Response:  # noqa: ARG001 - checks the quota
    """A new job with the spec of one that failed or was cancelled."""
    return accepted(await services.jobs.retry(job_id))


@router.get(
    "/{job_id}/logs",
    dependencies=[Depends(VIEWER)],
    response_class=StreamingResponse,
    responses={200: TEXT, **problems(404, 422)},
)
async def get_logs(job_id: str, services: Use, *, follow: Follow = False) -> Response:
    """The job's log as text."""
    pieces = read_log(services.jobs, job_id, follow=follow)
    text = resumed(await anext(pieces), pieces)
    return StreamingResponse(text, media_type="text/plain; charset=utf-8", headers=UNBUFFERED)


@router.get(
    "/{job_id}/events",
    dependencies=[Depends(VIEWER)],
    response_class=StreamingResponse,
    responses={
        200: EVENT_STREAM,
        204: {"description": "Over, and nothing after Last-Event-ID."},
        **problems(404, 422),
    },
)
async def get_events(job_id: str, services: Use, *, last_event_id: LastEventId = 0) -> Response:
    """Server-sent events: phase, progress, metrics and state, until the job is over."""
    events = as_events(follow_events(services.jobs, job_id, after=last_event_id))
    first = await anext(events, None)
    if first is None:  # 204 tells an EventSource not to come back
        return Response(status_code=204)
    return StreamingResponse(resumed(first, events), media_type="text/event-stream", headers=UNBUFFERED)
