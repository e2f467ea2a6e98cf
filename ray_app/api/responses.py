"""Successful responses, written by pydantic in one pass and not validated a second time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from ray_app.jobs.model import Job
from training.evaluation.report import Report, render_page
from training.evaluation.report.page import CSP

API = "/api/v1"


def json_response(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The model as JSON."""
    return Response(body.model_dump_json(), status, headers=dict(headers or {}), media_type="application/json")


def report_response(report: Report, status: Mapping[str, str], *, accept: str) -> Response:
    """The report as a page where the caller prefers HTML to JSON, as JSON otherwise."""
    vary = {"Vary": "Accept"}
    if not _prefers_html(accept):
        return json_response(report, headers=vary)
    return HTMLResponse(render_page(report, status), headers={**vary, "Content-Security-Policy": CSP})


def _prefers_html(accept: str) -> bool:
    quality = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        kind, _, parameters = part.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        if kind in quality:
            given = value if name == "q" and re.fullmatch(r"[01](\.[0-9]{0,3})?", value) else "1"
            quality[kind] = float(given)
    return quality["text/html"] > quality["application/json"]


def job_location(job: Job) -> str:
    """Where the job is read."""
    return f"{API}/jobs/{job.id}"


def accepted(job: Job) -> Response:
    """202 with the job and where to follow it."""
    return json_response(job, 202, {"Location": job_location(job)})


def documented(body: type[BaseModel], *errors: int, success: int = 200) -> dict[int | str, dict[str, Any]]:
    """What an endpoint answers, for the OpenAPI document; the bodies of errors are added there."""
    return {success: {"model": body}, **problems(*errors)}


def problems(*errors: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an endpoint, with those that every endpoint may answer."""
    return {status: {"description": ""} for status in sorted({*errors, 400, 401, 403, 503})}
