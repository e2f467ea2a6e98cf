"""The API as it is deployed: Ray Serve's proxy and replica, the dispatcher, workers, and MLflow, all real."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import ray
from ray import serve

from ray_app.app import AppArgs, build

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

TIMEOUT_S = 120.0
ROWS = [{"x": float(index % 17), "k": "abc"[index % 3], "y": "yes" if index % 17 > 8 else "no"} for index in range(200)]
SPEC = {"name": "served", "data": {"source": {"type": "inline", "rows": ROWS}, "target": "y"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A cluster of our own with the application on a free port; a client of it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MTS_HOME", str(home))
        environment.setenv("MTS_DATA_ROOTS", str(home))
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, namespace="test-api")
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            serve.run(build(AppArgs(max_body_mb=1)), name="mts", route_prefix="/")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S) as client:
                yield client
        finally:
            serve.shutdown()
            ray.shutdown()


@pytest.fixture(scope="module")
def trained(service: httpx.Client) -> dict[str, Any]:
    """A job that has trained the model `served`."""
    answer = service.post("/api/v1/train", json=SPEC)
    assert answer.status_code == 202, answer.text
    return wait(service, answer.json()["id"])


def wait(service: httpx.Client, job_id: str) -> dict[str, Any]:
    while True:
        job: dict[str, Any] = service.get(f"/api/v1/jobs/{job_id}", params={"wait_s": 60}).json()
        if job["status"] not in {"PENDING", "RUNNING"}:
            return job


def test_a_job_comes_in_and_a_version_comes_out(service: httpx.Client, trained: dict[str, Any]) -> None:
    assert trained["status"] == "SUCCEEDED", trained["error"]
    result = trained["result"]
    assert result["model"] == {"name": "served", "version": "1", "uri": "models:/served/1"}
    model = service.get("/api/v1/models/served").json()
    assert model["aliases"] == {"champion": "1"}
    assert model["versions"][0]["metrics"] == result["metrics"]
    assert model["versions"][0]["job_id"] == trained["id"]


def test_events_and_log_stream_until_the_job_is_over(service: httpx.Client, trained: dict[str, Any]) -> None:
    job_id = service.post("/api/v1/train", json={**SPEC, "name": "streamed"}).json()["id"]
    log: list[str] = []
    reader = threading.Thread(
        target=lambda: log.append(service.get(f"/api/v1/jobs/{job_id}/logs", params={"follow": "true"}).text)
    )
    reader.start()
    with service.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        lines = list(stream.iter_lines())
    reader.join(TIMEOUT_S)
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    data = [json.loads(line.removeprefix("data: "))["data"] for line in lines if line.startswith("data: ")]
    assert ids == list(range(1, len(ids) + 1))
    assert data[0]["status"] == "PENDING"
    assert data[-1]["status"] == "SUCCEEDED"
    assert "fit" in [item.get("phase") for item in data]
    assert log
    assert log[0] == service.get(f"/api/v1/jobs/{job_id}/logs").text
    assert log[0].endswith("\n")


def test_a_stream_and_a_wait_end_when_their_callers_go_away(service: httpx.Client, trained: dict[str, Any]) -> None:
    endless = {"family": "xgboost", "params": {"n_estimators": 1_000_000, "early_stopping_rounds": 0}}
    job_id = service.post("/api/v1/train", json={**SPEC, "name": "endless", "model": endless}).json()["id"]
    before = open_requests(service)
    with service.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()  # kept: the connection closes with the iterator
        assert next(lines) == "id: 1"
        assert open_requests(service) == before + 1
    with pytest.raises(httpx.ReadTimeout):
        service.get(f"/api/v1/jobs/{job_id}?wait_s=60", timeout=0.5)
    settles(lambda: open_requests(service) == before)
    service.post(f"/api/v1/jobs/{job_id}/cancel")
    assert wait(service, job_id)["status"] == "CANCELLED"


def settles(condition: Callable[[], bool]) -> None:
    """The proxy tells the replica of a closed connection a moment later; nothing to await says when."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def open_requests(service: httpx.Client) -> float:
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("mts_http_requests_open{"))


def test_an_evaluation_answers_the_report(service: httpx.Client, trained: dict[str, Any]) -> None:
    body = {"model": {"name": "served"}, "data": {"source": SPEC["data"]["source"]}}
    answer = service.post("/api/v1/evaluate", params={"wait_s": 60}, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == len(ROWS)


def test_two_equal_keys_at_once_make_one_job(service: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    key = {"Idempotency-Key": "twice"}
    body = {**SPEC, "name": "once"}
    threads = [
        threading.Thread(target=lambda: answers.append(service.post("/api/v1/train", json=body, headers=key)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["id"] for answer in answers}
    assert service.post("/api/v1/train", json={**body, "priority": 1}, headers=key).status_code == 409
    wait(service, job_id)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_through_the_proxy(service: httpx.Client, *, chunked: bool) -> None:
    pieces = [b" " * 100_000] * 50
    content = iter(pieces) if chunked else b"".join(pieces)
    answer = service.post("/api/v1/train", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_answer_has_one_request_id(service: httpx.Client) -> None:
    for path in ("/healthz", "/nothing"):
        answer = service.get(path, headers={"X-Request-Id": "abc-1"})
        assert answer.headers.get_list("x-request-id") == ["abc-1"]
    assert service.get("/nothing", headers={"X-Request-Id": "abc-2"}).json()["request_id"] == "abc-2"


def test_a_failing_job_names_what_is_wrong(service: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    wrong = service.post("/api/v1/train", json={**SPEC, "data": {**SPEC["data"], "target": "yy"}})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0] == {"field": "data.target", "value": "yy", "message": "no such column; nearest: y"}


def test_ready_and_measured(service: httpx.Client, trained: dict[str, Any]) -> None:
    ready = service.get("/readyz")
    assert ready.status_code == 200, ready.text
    text = service.get("/metrics").text
    assert 'mts_jobs{status="SUCCEEDED"}' in text
    assert "mts_dispatcher_up 1.0" in text
