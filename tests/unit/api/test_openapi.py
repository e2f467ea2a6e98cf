"""The description of the API is true: every example works, every error is a problem."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from ray_app.api.schemas.evaluate import EVALUATE_EXAMPLES
from ray_app.api.schemas.models import PROMOTE_EXAMPLES, ROLLBACK_EXAMPLES, PromoteRequest, RollbackRequest
from ray_app.api.schemas.train import TRAIN_EXAMPLES
from training.spec import EvaluateSpec, TrainSpec, parse_spec


@pytest.fixture
def document(api: Any) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_contract_is_there(document: dict[str, Any]) -> None:
    assert {name for name, _ in operations(document)} >= {
        "POST /api/v1/train", "GET /api/v1/jobs", "GET /api/v1/jobs/{job_id}", "POST /api/v1/jobs/{job_id}/cancel",
        "POST /api/v1/jobs/{job_id}/retry", "GET /api/v1/jobs/{job_id}/logs", "GET /api/v1/jobs/{job_id}/events",
        "POST /api/v1/evaluate", "GET /api/v1/models", "GET /api/v1/models/{name}",
        "GET /api/v1/models/{name}/versions/{version}", "POST /api/v1/models/{name}/versions/{version}/promote",
        "POST /api/v1/models/{name}/rollback", "GET /healthz", "POST /api/v1/datasets",
        "GET /api/v1/datasets", "DELETE /api/v1/datasets/{dataset_id}", "GET /api/v1/jobs/{job_id}/data",
        "POST /api/v1/jobs/{job_id}/reproduce", "GET /readyz", "GET /metrics",
    }  # fmt: skip


def test_every_error_is_a_problem_and_every_operation_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_every_body_has_examples_that_its_schema_accepts(document: dict[str, Any]) -> None:
    with_body = {
        name: operation
        for name, operation in operations(document)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    assert len(with_body) == 14
    for name, operation in with_body.items():
        content = operation["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        assert content["examples"], name
        for example in content["examples"].values():
            jsonschema.Draft202012Validator(schema).validate(example["value"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


@pytest.mark.parametrize(
    ("kind", "examples"),
    [(TrainSpec, TRAIN_EXAMPLES), (EvaluateSpec, EVALUATE_EXAMPLES), (PromoteRequest, PROMOTE_EXAMPLES),
     (RollbackRequest, ROLLBACK_EXAMPLES)],
)  # fmt: skip
def test_every_example_parses(kind: Any, examples: dict[str, Any]) -> None:
    for example in examples.values():
        parse_spec(kind, example["value"])


def test_the_inline_example_can_be_planned(api: Any) -> None:
    answer = api.post("/api/v1/train?dry_run=true", json=TRAIN_EXAMPLES["inline"]["value"])
    assert answer.status_code == 200, answer.text


def test_force_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError, match="force needs a reason"):
        PromoteRequest(force=True)


def test_the_page_needs_nothing_from_elsewhere(api: Any, document: dict[str, Any]) -> None:
    page = api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://localhost", "")
    for path in document["paths"]:
        assert path in page.text
