"""Streams of a job that survive a broken connection: its events and its log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from ray_app.client.errors import MtsApiError, MtsConnectionError
from ray_app.client.transport import API, Transport, checked, segment
from ray_app.jobs.model import JobEvent, JobStatus

# The service sends a comment every 15 s.
SILENCE_S = 60.0
# A cluster that is brought up again takes half a minute, on a busy machine more.
PATIENCE_S = 180.0
RECONNECT_DELAY_S = 1.0


def events(transport: Transport, job_id: str, *, after: int) -> Iterator[JobEvent]:
    """Events of the job with seq > `after`, each once and in order, until the job is over.

    Raises:
        MtsApiError: the service refuses, for example because there is no such job.
        MtsConnectionError: it stayed away for three minutes.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reason = "the stream ended early"
        try:
            for event in _connect(transport, job_id, after):
                yield event
                after = event.seq
                deadline = time.monotonic() + PATIENCE_S
                if event.type == "state" and JobStatus(event.data["status"]).final:
                    return
            if _is_over(transport, job_id):
                return
        except (httpx.TransportError, SSEError, MtsConnectionError) as error:
            reason = str(error) or type(error).__name__
        except MtsApiError as error:
            if error.status not in {429, 502, 503, 504} or time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise MtsConnectionError(transport.url, reason)
        time.sleep(RECONNECT_DELAY_S)


def _connect(transport: Transport, job_id: str, after: int) -> Iterator[JobEvent]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Last-Event-ID": str(after)}
    with transport.http.stream(
        "GET", f"{API}/jobs/{segment(job_id)}/events", headers=headers, timeout=SILENCE_S
    ) as response:
        if response.status_code == httpx.codes.NO_CONTENT:
            return
        if response.is_error:
            response.read()
        checked(response)
        for event in EventSource(response).iter_sse():
            # a heartbeat comes as an event without data under the id of the last one
            if event.data and event.id and int(event.id) > after:
                yield _job_event(event)


def _job_event(event: ServerSentEvent) -> JobEvent:
    return JobEvent.model_validate({"seq": int(event.id), "type": event.event, **json.loads(event.data)})


def _is_over(transport: Transport, job_id: str) -> bool:
    status: str = transport.send("GET", f"/jobs/{segment(job_id)}").json()["status"]
    return JobStatus(status).final


def log(transport: Transport, job_id: str, *, follow: bool) -> Iterator[str]:
    """The log of the job in pieces.

    Raises:
        MtsApiError: the service refuses, for example because there is no such job.
        MtsConnectionError: the connection broke.
    """
    params = {"follow": "true"} if follow else {}
    try:
        with transport.http.stream(
            "GET", f"{API}/jobs/{segment(job_id)}/logs", params=params, timeout=None
        ) as response:
            if response.is_error:
                response.read()
            yield from checked(response).iter_text()
    except httpx.TransportError as error:
        raise MtsConnectionError(transport.url, str(error) or type(error).__name__) from error
