"""What every answer carries, health, metrics and the error table."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ray_app.api.errors import TABLE, answer_for
from ray_app.services.pool import OverloadedError
from training import errors
from training.errors import TrainingError, UnavailableError


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/api/v1/jobs", "/api/v1/jobs?limit=x", "/docs"])
def test_every_answer_has_safe_headers_and_one_request_id(api: Any, path: str) -> None:
    answer = api.get(path, headers={"X-Request-Id": "abc-1"})
    assert answer.headers.get_list("x-request-id") == ["abc-1"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/api/jobs/", "/api/version", "/api/serve/applications/", "/nodes", "/mlflow", "/api/2.0/mlflow"]
)
def test_neither_rays_interfaces_nor_mlflows_are_reached_through_this_service(api: Any, path: str) -> None:
    assert (api.get(path).status_code, api.post(path, json={}).status_code) == (404, 404)


@pytest.mark.parametrize("given", [None, "a b", "x" * 500, "<script>"])
def test_a_request_id_that_is_not_fit_for_a_log_is_replaced(api: Any, given: str | None) -> None:
    answer = api.get("/healthz", headers={"X-Request-Id": given} if given else {})
    assert len(answer.headers["x-request-id"]) == 32


def test_every_error_class_has_its_row() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TrainingError)]
    assert len(classes) > 8
    assert [kind.__name__ for kind in classes if kind not in TABLE] == []


def test_a_subclass_has_the_row_of_its_nearest_ancestor() -> None:
    class NewDataError(errors.AccessError):
        pass

    assert answer_for(NewDataError) is TABLE[errors.AccessError]
    assert answer_for(OverloadedError).status == 429
    assert answer_for(KeyError).status == 500


def test_a_problem_can_carry_any_value(api: Any) -> None:
    for value in (None, float("nan"), "\udcff", "x" * 10_000, object(), -(2**70)):
        api.jobs.away = errors.DataError.at("data.source.uri", value, f"cannot be read: {value!s:.20}")
        answer = api.get("/api/v1/jobs")
        assert answer.status_code == 422
        (error,) = json.loads(answer.content, parse_constant=pytest.fail)["errors"]
        assert "value" in error


def test_ready_when_everything_answers(api: Any) -> None:
    answer = api.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert answer.json()["components"] == dict.fromkeys(("dispatcher", "store", "cluster", "registry"), "ok")


def test_not_ready_says_what_is_away_and_the_process_still_lives(api: Any) -> None:
    api.jobs.away = UnavailableError("the dispatcher does not answer")
    answer = api.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    components = answer.json()["components"]
    assert components["dispatcher"] == "the dispatcher does not answer"
    assert components["registry"] == "ok"
    assert api.get("/healthz").json() == {"status": "ok"}


def test_metrics_count_jobs_and_requests_by_route(api: Any, spec: dict[str, Any]) -> None:
    job_id = api.post("/api/v1/train", json=spec).json()["id"]
    api.get(f"/api/v1/jobs/{job_id}")
    api.get("/random-1")
    api.get("/random-2")
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, sample.labels.get("status"), sample.labels.get("route")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["mts_jobs", "PENDING", None] == 1
    assert samples["mts_dispatcher_up", None, None] == 1
    assert samples["mts_http_requests_total", "200", "/api/v1/jobs/{job_id}"] == 1
    assert samples["mts_http_requests_total", "202", "/api/v1/train"] == 1
    assert samples["mts_http_requests_total", "404", "unknown"] == 2
    assert samples["mts_http_requests_open", None, None] == 1  # this very scrape
    assert job_id not in answer.text


def test_metrics_without_a_dispatcher_say_so(api: Any) -> None:
    api.jobs.away = UnavailableError("away")
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert "mts_dispatcher_up 0.0" in answer.text
