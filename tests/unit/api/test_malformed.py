"""Requests that cannot be read: the right status, a problem document, nothing of the inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

JSON = {"Content-Type": "application/json"}
BODIES = ["/api/v1/train", "/api/v1/evaluate", "/api/v1/models/toy/versions/1/promote", "/api/v1/models/toy/rollback"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{not json", "line 1, column 2"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": 1e999}', "64 bits"),
        (b'{"name": 1, "name": 2}', "given twice"),
        (b'{"name": "\xc3\x28"}', "not UTF-8"),
        (rb'{"name": "\ud800"}', "U+D800"),
        (b"[" * 200_000, "nested"),
    ],
)
def test_what_is_not_json_is_400_and_says_where(api: Any, path: str, body: bytes, says: str) -> None:
    answer = api.post(path, content=body, headers=JSON)
    assert_problem(answer, 400)
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("body", [b"[]", b"3", b'"text"', b"null"])
def test_json_that_is_no_object_is_422(api: Any, path: str, body: bytes) -> None:
    answer = api.post(path, content=body, headers=JSON)
    assert_problem(answer, 422)
    assert "object" in answer.json()["detail"]


def test_an_empty_body_is_400(api: Any) -> None:
    assert_problem(api.post("/api/v1/train"), 400)


def test_another_content_type_is_415_with_the_remedy(api: Any) -> None:
    answer = api.post("/api/v1/train", content=b"x=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert_problem(answer, 415)
    assert "application/json" in answer.json()["hint"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_and_names_the_limit(make_api: Any, *, chunked: bool) -> None:
    api = make_api(max_body_mb=0.01)

    async def pieces() -> Any:
        for _ in range(100):
            yield b" " * 1000

    answer = api.post("/api/v1/train", content=pieces() if chunked else b" " * 100_000, headers=JSON)
    assert_problem(answer, 413)
    assert "0.01 MB" in answer.json()["detail"]
    assert "MTS_MAX_BODY_MB" in answer.json()["hint"]
    assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/jobs/job_1/nothing", 404),
        ("DELETE", "/api/v1/jobs", 405),
        ("GET", "/api/v1/train", 405),
        ("POST", "/healthz", 405),
        ("GET", "/api/v1/jobs/a%00b", 400),
        ("GET", "/api/v1/jobs?name=%00", 400),
        ("GET", "/%ff%fe", 404),
    ],
)
def test_addresses_that_do_not_work(api: Any, method: str, path: str, status: int) -> None:
    answer = api(method, path)
    assert_problem(answer, status)
    if status == 405:
        assert answer.headers["allow"] in answer.json()["hint"]


@pytest.mark.parametrize(
    ("path", "field", "says"),
    [
        ("/api/v1/jobs?limit=0", "limit", "greater than or equal to 1"),
        ("/api/v1/jobs?limit=201", "limit", "less than or equal to 200"),
        ("/api/v1/jobs?limit=x", "limit", "valid integer"),
        ("/api/v1/jobs?status=DONE", "status.0", "'FAILED'"),
        ("/api/v1/jobs?kind=fly", "kind", "'train'"),
        ("/api/v1/jobs?stauts=FAILED", "stauts", "nearest: status"),
        ("/api/v1/jobs?cursor=x", "cursor", ""),
        ("/api/v1/jobs/job_1?wait_s=61", "wait_s", "less than or equal to 60"),
        ("/api/v1/jobs/job_1?wait_s=nan", "wait_s", "finite"),
        ("/api/v1/jobs/job_1?wait_s=-1", "wait_s", "greater than or equal to 0"),
        ("/api/v1/jobs/job_1/logs?follow=perhaps", "follow", "boolean"),
        ("/api/v1/models?limit=1000", "limit", "less than or equal to 200"),
        ("/api/v1/jobs?limit=1&limit=2", "limit", "came 2 times"),
        ("/api/v1/monitors?cursor=a&cursor=b", "cursor", "came 2 times"),
        ("/api/v1/active-learning/pools?cursor=a&cursor=b&cursor=c", "cursor", "came 3 times"),
    ],
)
def test_parameters_that_do_not_work_are_422_and_named(api: Any, path: str, field: str, says: str) -> None:
    answer = api.get(path)
    assert_problem(answer, 422)
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


def test_a_parameter_that_takes_several_values_may_come_several_times(api: Any) -> None:
    assert api.get("/api/v1/jobs?status=FAILED&status=RUNNING").status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_an_idempotency_key_that_does_not_work_is_422(api: Any, spec: dict[str, Any], key: str) -> None:
    answer = api.post("/api/v1/train", json=spec, headers=[(b"Idempotency-Key", key.encode())])
    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["field"].lower() == "idempotency-key"


def test_a_last_event_id_that_is_no_number_is_422(api: Any) -> None:
    for wrong in ("x", "-1", "9" * 40):
        assert_problem(api.get("/api/v1/jobs/job_1/events", headers={"Last-Event-ID": wrong}), 422)


def test_an_unexpected_error_shows_nothing_and_is_in_the_log(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    def explode() -> None:
        raise RuntimeError("password=hunter2")

    api.jobs.store.counts = explode
    answer = api.get("/metrics", headers={"X-Request-Id": "find-me"})
    assert_problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.json()["request_id"] == "find-me"
    assert "find-me" in caplog.text
    assert "hunter2" in caplog.text  # the operator sees the traceback
    assert api.get("/healthz").status_code == 200


def assert_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.text, parse_constant=pytest.fail)
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= body.keys()
    assert body["status"] == status
    assert body["type"].startswith("urn:mts:problem:")
    assert body["instance"] == answer.request.url.path
    assert "Traceback" not in answer.text
    assert "site-packages" not in answer.text
