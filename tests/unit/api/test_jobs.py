"""The jobs resource: lists, waiting, cancel, retry, logs and events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ray_app.jobs.model import JobError, Progress

JOBS = "/api/v1/jobs"


@pytest.fixture
def job_id(api: Any, spec: dict[str, Any]) -> str:
    return str(api.post("/api/v1/train", json=spec).json()["id"])


def start(api: Any, job_id: str) -> int:
    attempt = api.store.assign_attempt(job_id)
    assert api.store.started(job_id, attempt)
    return int(attempt)


def events_of(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def test_a_list_is_filtered_and_paged(api: Any, spec: dict[str, Any]) -> None:
    ids = [api.post("/api/v1/train", json={**spec, "tags": {"n": str(n)}}).json()["id"] for n in range(5)]
    api.post(f"{JOBS}/{ids[0]}/cancel")
    first = api.get(JOBS, params={"limit": 3}).json()
    rest = api.get(JOBS, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert [job["id"] for job in api.get(f"{JOBS}?status=cancelled").json()["items"]] == [ids[0]]
    assert len(api.get(f"{JOBS}?status=CANCELLED,PENDING&status=RUNNING").json()["items"]) == 5
    assert [job["id"] for job in api.get(f"{JOBS}?tag=n=2").json()["items"]] == [ids[2]]
    assert api.get(f"{JOBS}?kind=evaluate").json()["items"] == []
    assert api.get(f"{JOBS}?name=other").json()["items"] == []


@pytest.mark.parametrize("unknown", ["job_00000000000000000000000000", "x", "..", "job_1;drop", "ключ"])
@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", ""),
        ("GET", "/logs"),
        ("GET", "/events"),
        ("GET", "/logs?follow=true"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ],
)
def test_an_unknown_job_is_404(api: Any, unknown: str, method: str, action: str) -> None:
    answer = api(method, f"{JOBS}/{unknown.replace('..', '%2E%2E')}{action}")
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_waiting_ends_with_the_final_state(api: Any, job_id: str) -> None:
    assert api.get(f"{JOBS}/{job_id}?wait_s=0.05").json()["status"] == "PENDING"
    answer = api.in_background("GET", f"{JOBS}/{job_id}?wait_s=60")
    attempt = start(api, job_id)
    api.store.report(
        job_id, attempt, progress=Progress(phase="fit", fraction=0.4, metrics={"validation/log_loss": 0.5})
    )
    assert api.get(f"{JOBS}/{job_id}").json()["progress"]["fraction"] == 0.4
    api.store.succeed(job_id, attempt, {"task": "binary"})
    assert answer().json()["status"] == "SUCCEEDED"


def test_cancel_and_retry(api: Any, job_id: str) -> None:
    early = api.post(f"{JOBS}/{job_id}/retry")
    assert early.status_code == 409
    answer = api.post(f"{JOBS}/{job_id}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "CANCELLED"
    assert api.post(f"{JOBS}/{job_id}/cancel").status_code == 409
    again = api.post(f"{JOBS}/{job_id}/retry")
    assert again.status_code == 202
    assert again.json()["retry_of"] == job_id
    assert again.headers["location"] == f"{JOBS}/{again.json()['id']}"


def test_events_come_in_order_and_end_with_the_final_state(api: Any, job_id: str) -> None:
    answer = api.in_background("GET", f"{JOBS}/{job_id}/events")
    attempt = start(api, job_id)
    api.store.report(job_id, attempt, events=[("phase", {"phase": "fit"}), ("metrics", {"validation/log_loss": 0.5})])
    api.store.fail(job_id, attempt, JobError(type="FitError", message="diverged"))
    response = answer()
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    assert [event["id"] for event in events] == ["1", "2", "3", "4", "5"]
    assert [event["event"] for event in events] == ["state", "state", "phase", "metrics", "state"]
    assert events[-1]["data"]["data"]["status"] == "FAILED"


def test_events_resume_after_the_last_one_seen_and_204_when_there_are_no_more(api: Any, job_id: str) -> None:
    api.post(f"{JOBS}/{job_id}/cancel")
    seen = events_of(api.get(f"{JOBS}/{job_id}/events").text)
    resumed = events_of(api.get(f"{JOBS}/{job_id}/events", headers={"Last-Event-ID": seen[0]["id"]}).text)
    assert resumed == seen[1:]
    over = api.get(f"{JOBS}/{job_id}/events", headers={"Last-Event-ID": seen[-1]["id"]})
    assert over.status_code == 204


def test_the_log_so_far_and_the_log_to_the_end(api: Any, job_id: str) -> None:
    assert api.get(f"{JOBS}/{job_id}/logs").text == ""
    attempt = start(api, job_id)
    api.jobs.logs[job_id] = b"one\n"
    so_far = api.get(f"{JOBS}/{job_id}/logs")
    assert so_far.headers["content-type"] == "text/plain; charset=utf-8"
    assert so_far.text == "one\n"
    answer = api.in_background("GET", f"{JOBS}/{job_id}/logs?follow=true")
    api.jobs.logs[job_id] += "zwei ä\n".encode()
    api.store.succeed(job_id, attempt, {})
    assert answer().text == "one\nzwei ä\n"


def test_a_figure_that_is_not_finite_is_null(api: Any, job_id: str) -> None:
    attempt = start(api, job_id)
    api.store.succeed(job_id, attempt, {"metrics": {"auc": {"value": float("nan")}}})
    text = api.get(f"{JOBS}/{job_id}").text
    assert json.loads(text, parse_constant=pytest.fail)["result"]["metrics"]["auc"]["value"] is None
