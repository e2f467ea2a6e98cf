"""The OpenAPI document: request bodies with examples, and every error as a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ray_app.api.schemas.models import ArchiveRequest, PromoteRequest, RollbackRequest
from ray_app.api.schemas.problem import PROBLEM_JSON, Problem
from ray_app.services.active_learning import LabelsRequest, QueryRequest
from training.active_learning.spec import PoolSpec
from training.monitoring.spec import MonitorSpec
from training.spec import EvaluateSpec, TrainSpec

REFERENCE = "#/components/schemas/{model}"
BODIES: tuple[type[BaseModel], ...] = (TrainSpec, EvaluateSpec, PromoteRequest, RollbackRequest, ArchiveRequest,
                                        PoolSpec, QueryRequest, LabelsRequest, MonitorSpec, Problem)  # fmt: skip
DESCRIPTION = """Trains, tunes, evaluates and versions models for structured data on a Ray cluster.

Every error is `application/problem+json` (RFC 9457). Lists answer `{"items": [...], "next_cursor": ...}`."""
WORDS = {
    400: "The request is malformed", 401: "No API key, or not a known one", 403: "Not allowed", 404: "Not found",
    409: "In conflict with the present state", 413: "The body is too large",
    415: "Neither JSON nor YAML", 422: "A spec or a parameter that cannot work",
    429: "Too many requests; see Retry-After", 503: "A service is away; see Retry-After",
}  # fmt: skip


def request_body(model: type[BaseModel], examples: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The `requestBody` of an endpoint that reads its body by itself."""
    content = {"schema": {"$ref": REFERENCE.format(model=model.__name__)}, "examples": dict(examples)}
    return {
        "requestBody": {"required": required, "content": {"application/json": content, "application/yaml": content}}
    }


def free_body(examples: Mapping[str, Any]) -> dict[str, Any]:
    """The `requestBody` of an endpoint whose body is another product's."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}, "examples": dict(examples)}}}
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        _, bodies = models_json_schema([(model, "validation") for model in BODIES], ref_template=REFERENCE)
        components = found.setdefault("components", {}).setdefault("schemas", {})
        components.update(bodies["$defs"])
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for methods in found["paths"].values():
            for operation in methods.values():
                _state_errors(operation)
        app.openapi_schema = found
    return app.openapi_schema


def _state_errors(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            response["description"] = WORDS[int(status)]
            response["content"] = {PROBLEM_JSON: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
