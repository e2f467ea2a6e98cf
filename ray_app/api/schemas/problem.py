"""The body of every error: RFC 9457, application/problem+json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

PROBLEM_JSON = "application/problem+json"


class FieldError(BaseModel):
    """A field at fault: dotted path, the value found there, what to do."""

    field: str
    value: Any = None
    message: str


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "example": {
                "type": "urn:mts:problem:spec-error",
                "title": "The spec cannot work",
                "status": 422,
                "detail": "data.target: no such column; nearest: creditability",
                "instance": "/api/v1/train",
                "errors": [
                    {
                        "field": "data.target",
                        "value": "creditabilty",
                        "message": "no such column; nearest: creditability",
                    }
                ],
                "request_id": "7e7cde81d3c14a7f8cbe7d0f0e9be0d5",
            }
        },
    )

    type: str
    """Stable name of the kind of problem."""
    title: str
    """The kind of problem in words; the same for every occurrence."""
    status: int
    detail: str
    """What was wrong this time."""
    instance: str
    """Path of the request."""
    hint: str | None = None
    """The remedy."""
    errors: list[FieldError] = []
    request_id: str | None = None
    """Names the request in the service's log."""
    job: str | None = None
    """The job that failed, if there was one."""
    components: dict[str, str] | None = None
    """Readiness: `ok` or the reason, by component."""
