"""Errors at the edge: ONE table from error class to status, found by method resolution order."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ray_app.api.schemas.problem import PROBLEM_JSON, FieldError, Problem
from ray_app.jobs.model import Job
from ray_app.services.documents import MalformedError
from ray_app.services.label_studio import SignatureError
from ray_app.services.pool import OverloadedError
from training import errors
from training.errors import TrainingError, nearest, shown
from training.monitoring.errors import BatchTooLargeError, BodyError


class UnauthenticatedError(TrainingError):
    """No key, or one that is not known."""


class ForbiddenError(TrainingError):
    """The caller is known and may not do this."""


class TooLargeError(TrainingError):
    """The body is larger than the operator allows."""


class UnsupportedMediaError(TrainingError):
    """The body's content type is not one that we read."""


@dataclass(frozen=True)
class Answer:
    """How a class of errors is answered."""

    status: int
    title: str
    retry_after_s: int | None = None


TABLE: Mapping[type[Exception], Answer] = {
    MalformedError: Answer(400, "The request is malformed"),
    UnauthenticatedError: Answer(401, "Not authenticated"),
    SignatureError: Answer(401, "The signature is not right"),
    ForbiddenError: Answer(403, "Not allowed"),
    errors.NotFoundError: Answer(404, "Not found"),
    errors.ConflictError: Answer(409, "In conflict with the present state"),
    errors.JobCancelledError: Answer(409, "The job was cancelled"),
    BodyError: Answer(400, "The request is malformed"),
    BatchTooLargeError: Answer(413, "The batch is too large"),
    TooLargeError: Answer(413, "The body is too large"),
    UnsupportedMediaError: Answer(415, "The content type is not supported"),
    errors.SpecError: Answer(422, "The spec cannot work"),
    errors.DataError: Answer(422, "The data cannot be used"),
    errors.AccessError: Answer(422, "The source is not allowed"),
    errors.FitError: Answer(422, "The model cannot be fitted"),
    errors.WorkerLostError: Answer(503, "Workers were lost"),
    errors.ResourceError: Answer(422, "The cluster can never hold the job"),
    OverloadedError: Answer(429, "Too many requests", retry_after_s=1),
    errors.UnavailableError: Answer(503, "A service is away", retry_after_s=5),
    TrainingError: Answer(500, "The request failed"),
    Exception: Answer(500, "Internal error"),
}
INVALID_PARAMETER = Answer(422, "A parameter is not valid")
_BY_NAME = {kind.__name__: kind for kind in TABLE}


def answer_for(kind: type[Exception]) -> Answer:
    """The row of the nearest ancestor."""
    return next(TABLE[ancestor] for ancestor in kind.__mro__ if ancestor in TABLE)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""
    app.add_exception_handler(TrainingError, _on_training_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)


def problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response; `instance` and `request_id` are the request's."""
    state = request.scope.get("state", {})
    known = {**problem.model_dump(), "instance": request.url.path, "request_id": state.get("request_id")}
    text = json.dumps({name: value for name, value in known.items() if value is not None}, ensure_ascii=False)
    # half a surrogate pair, as a file's name may hold it, becomes the escape that JSON has for it
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, problem.status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def error_response(request: Request, error: TrainingError) -> Response:
    """An error of ours as a response."""
    row = answer_for(type(error))
    problem = Problem(
        type=_urn(type(error).__name__),
        title=row.title,
        status=row.status,
        detail=error.message,
        instance="",
        hint=error.hint or None,
        errors=[_field_error(item.field, item.value, item.message) for item in error.problems],
    )
    return problem_response(request, problem, _headers(row, getattr(error, "retry_after_s", None)))


def internal_error_response(request: Request) -> Response:
    """The response to an exception that nobody expected: nothing of its inside, only where the operator finds it."""
    problem = Problem(
        type="urn:mts:problem:internal-error",
        title=TABLE[Exception].title,
        status=500,
        detail="The service met an error that it did not expect.",
        instance="",
        hint="The operator finds the reason in the log under the request id.",
    )
    return problem_response(request, problem)


def failed_job_response(request: Request, job: Job, location: str) -> Response:
    """The problem that ended a job that the caller waited for."""
    if job.error is None:
        row, name, detail, hint = (
            answer_for(errors.JobCancelledError),
            "JobCancelledError",
            "The job was cancelled.",
            "",
        )
    else:
        row = answer_for(_BY_NAME.get(job.error.type, TrainingError))
        name, detail, hint = job.error.type, job.error.message, job.error.hint
    found = job.error.errors if job.error else []
    problem = Problem(
        type=_urn(name),
        title=row.title,
        status=row.status,
        detail=detail,
        instance="",
        hint=hint or None,
        errors=[_field_error(item.field, item.value, item.message) for item in found],
        job=job.id,
    )
    return problem_response(request, problem, {**_headers(row), "Location": location})


def not_ready_response(request: Request, components: Mapping[str, str]) -> Response:
    """503 with the state of each component."""
    row = answer_for(errors.UnavailableError)
    away = ", ".join(name for name, state in components.items() if state != "ok")
    problem = Problem(
        type="urn:mts:problem:not-ready",
        title=row.title,
        status=row.status,
        detail=f"cannot take work: {away}",
        instance="",
        components=dict(components),
    )
    return problem_response(request, problem, _headers(row))


async def _on_training_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TrainingError)  # noqa: S101 - the handler is installed for nothing else
    return error_response(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is installed for nothing else
    title, detail, hint = _http_words(request, error)
    problem = Problem(
        type=_urn(title), title=title, status=error.status_code, detail=detail, instance="", hint=hint or None
    )
    return problem_response(request, problem, error.headers)


def _http_words(request: Request, error: HTTPException) -> tuple[str, str, str]:
    path = request.url.path
    if error.status_code == 404:
        return "Not found", f"there is no {shown(path)}", "See /openapi.json for what there is."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return "Method not allowed", f"{request.method} does not work on {shown(path)}", f"Allowed: {allowed}."
    return "The request is malformed", str(error.detail), ""


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler is installed for nothing else
    found = [_parameter_error(item) for item in error.errors()]
    problem = Problem(
        type=_urn("ParameterError"),
        title=INVALID_PARAMETER.title,
        status=INVALID_PARAMETER.status,
        detail=f"{found[0].field}: {found[0].message}",
        instance="",
        errors=found,
    )
    return problem_response(request, problem)


def _parameter_error(item: Mapping[str, Any]) -> FieldError:
    _, *path = item["loc"]
    value = None if item["type"] == "missing" else item.get("input")
    message = str(item["msg"]).removeprefix("Value error, ")
    return _field_error(".".join(str(part) for part in path), value, message[:1].lower() + message[1:])


def unknown_parameter(name: str, known: list[str]) -> RequestValidationError:
    """An error that names the nearest parameter."""
    message = f"unknown parameter{nearest(name, known)}"
    return RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name), "msg": message, "input": None}])


def repeated_parameter(name: str, values: list[str]) -> RequestValidationError:
    """An error for a parameter that came more than once, of which nobody could know which one was meant."""
    error = {"type": "repeated", "loc": ("query", name), "msg": f"came {len(values)} times; give it once"}
    return RequestValidationError([error | {"input": values[-1]}])


def _field_error(field: str, value: Any, message: str) -> FieldError:
    value = shown(value)
    finite = not isinstance(value, float) or math.isfinite(value)
    return FieldError(field=field, value=value if finite else str(value), message=message)


def _headers(row: Answer, retry_after_s: int | None = None) -> dict[str, str]:
    wait_s = retry_after_s or row.retry_after_s
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if row.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mts"'
    return headers


def _urn(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", "-", name).strip("-").lower()
    return f"urn:mts:problem:{words}"
