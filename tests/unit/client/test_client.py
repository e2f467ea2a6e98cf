from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from scripted_http import DROP, Answer, ScriptedServer, as_json, problem, scripted_server

from ray_app.client import MtsApiError, MtsClient, MtsConnectionError, streams, transport
from ray_app.jobs.model import Job, JobStatus
from training.result import EvaluationResult
from training.spec import TrainSpec

SPEC = {"name": "a", "data": {"source": {"type": "file", "uri": "a.csv"}, "target": "y"}}


def job(status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    return {
        "id": "j1", "kind": "train", "name": "a", "status": status, "spec": SPEC, "created_at": "2026-11-23T12:00:00Z",
    } | fields  # fmt: skip


def event(seq: int, kind: str, **data: Any) -> str:
    body = json.dumps({"time": "2026-11-23T12:00:00Z", "data": data})
    return f"id: {seq}\nevent: {kind}\ndata: {body}\n\n"


HEARTBEAT = ": still there\n\n"


def stream(*events: str, breaks: bool = False) -> Answer:
    return Answer(200, "".join(events).encode(), "text/event-stream", breaks=breaks)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_DELAY_S", 0.001)
    monkeypatch.setattr(transport, "MAX_DELAY_S", 0.005)
    monkeypatch.setattr(streams, "RECONNECT_DELAY_S", 0.001)


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[MtsClient]:
    with MtsClient(server.url, "the-key") as client:
        yield client


def test_a_submission_that_was_cut_off_is_repeated_with_the_same_key(server: ScriptedServer, client: MtsClient) -> None:
    server.on("POST /train", DROP, problem(503), as_json(job("PENDING"), 202))
    assert client.train(SPEC).status is JobStatus.PENDING
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    client.train(SPEC)
    assert server.requests[-1].headers["idempotency-key"] not in keys, "another call is another job"


def test_a_spec_object_is_sent_as_its_fields(server: ScriptedServer, client: MtsClient) -> None:
    server.on("POST /train", as_json(job(), 202))
    client.train(TrainSpec.model_validate(SPEC), idempotency_key="monday")
    sent = json.loads(server.requests[0].body)
    assert sent["data"]["source"] == {"type": "file", "uri": "a.csv", "format": "auto", "filter": []}
    assert server.requests[0].headers["idempotency-key"] == "monday"
    assert server.requests[0].headers["authorization"] == "Bearer the-key"


def test_a_dry_run_answers_the_plan_and_makes_no_job(server: ScriptedServer, client: MtsClient) -> None:
    server.on("POST /train", as_json({"task": "binary"}))
    assert client.train(SPEC, dry_run=True) == {"task": "binary"}
    assert "dry_run=true" in server.requests[0].path
    assert "idempotency-key" not in server.requests[0].headers


def test_a_problem_becomes_an_error_with_its_fields(server: ScriptedServer, client: MtsClient) -> None:
    fields = [{"field": "data.target", "value": "yy", "message": "no such column; nearest: y"}]
    server.on("POST /train", problem(422, errors=fields, hint="see the columns"))
    with pytest.raises(MtsApiError) as caught:
        client.train(SPEC)
    error = caught.value
    assert (error.status, error.title, error.detail, error.hint) == (422, "Title", "detail", "see the columns")
    assert [(one.field, one.value) for one in error.errors] == [("data.target", "yy")]
    assert len(server.requests) == 1, "what is wrong stays wrong"


def test_an_answer_that_is_no_problem_document_is_told_all_the_same(server: ScriptedServer, client: MtsClient) -> None:
    server.on("GET /jobs/j1", Answer(502, b"<h1>Bad gateway</h1>", "text/html"))
    with pytest.raises(MtsApiError, match="Bad gateway") as caught:
        client.job("j1")
    assert caught.value.status == 502


def test_cancelling_is_not_repeated_when_nobody_knows_whether_it_was_heard(
    server: ScriptedServer, client: MtsClient
) -> None:
    server.on("POST /jobs/j1/cancel", DROP, as_json(job(), 202))
    with pytest.raises(MtsConnectionError):
        client.cancel("j1")
    assert len(server.requests) == 1


def test_a_service_that_is_away_is_an_error_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with MtsClient(url) as client, pytest.raises(MtsConnectionError, match=url):
        client.job("j1")


def test_jobs_come_from_as_many_pages_as_are_needed(server: ScriptedServer, client: MtsClient) -> None:
    pages = [
        as_json({"items": [job(id="j3"), job(id="j2")], "next_cursor": "c"}),
        as_json({"items": [job(id="j1")], "next_cursor": None}),
    ]
    server.on("GET /jobs", *pages)
    assert [one.id for one in client.jobs(status=["RUNNING", JobStatus.FAILED])] == ["j3", "j2", "j1"]
    assert "status=RUNNING%2CFAILED" in server.requests[0].path
    assert "cursor=c" in server.requests[1].path
    server.on("GET /jobs", pages[0])
    assert [one.id for one in client.jobs(limit=2)] == ["j3", "j2"]


def test_waiting_goes_on_until_the_job_is_over(server: ScriptedServer, client: MtsClient) -> None:
    server.on("GET /jobs/j1", as_json(job()), problem(503), as_json(job("SUCCEEDED")))
    assert client.wait("j1").status is JobStatus.SUCCEEDED
    server.on("GET /jobs/j1", as_json(job()))
    with pytest.raises(TimeoutError, match="j1 is RUNNING"):
        client.wait("j1", timeout_s=0)


def test_events_survive_a_broken_stream_and_come_once_each(server: ScriptedServer, client: MtsClient) -> None:
    server.on(
        "GET /jobs/j1/events",
        stream(HEARTBEAT, event(1, "state", status="RUNNING"), HEARTBEAT, event(2, "phase", phase="fit"), breaks=True),
        DROP,
        problem(503),
        stream(event(2, "phase", phase="fit"), event(3, "progress", fraction=0.5)),
        stream(event(4, "state", status="SUCCEEDED")),
    )
    server.on("GET /jobs/j1", as_json(job()))
    assert [(one.seq, one.type) for one in client.events("j1")] == [
        (1, "state"), (2, "phase"), (3, "progress"), (4, "state"),
    ]  # fmt: skip
    asked = [one.headers["last-event-id"] for one in server.requests if one.path.endswith("/events")]
    assert asked == ["0", "2", "2", "2", "3"]


def test_the_events_of_a_job_that_is_over_end(server: ScriptedServer, client: MtsClient) -> None:
    server.on("GET /jobs/j1/events", Answer(204))
    server.on("GET /jobs/j1", as_json(job("FAILED")))
    assert list(client.events("j1", after=9)) == []


def test_the_events_of_an_unknown_job_are_an_error_at_once(server: ScriptedServer, client: MtsClient) -> None:
    server.on("GET /jobs/j1/events", problem(404, detail="no job 'j1'"))
    with pytest.raises(MtsApiError, match="no job 'j1'"):
        next(client.events("j1"))


def test_the_service_that_stays_away_ends_the_events(
    server: ScriptedServer, client: MtsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PATIENCE_S", 0.05)
    server.on("GET /jobs/j1/events", DROP)
    with pytest.raises(MtsConnectionError):
        list(client.events("j1"))


def test_logs_come_as_text(server: ScriptedServer, client: MtsClient) -> None:
    server.on("GET /jobs/j1/logs", Answer(200, "loaded 1000 rows ✓\n".encode(), "text/plain; charset=utf-8"))
    assert "".join(client.logs("j1", follow=True)) == "loaded 1000 rows ✓\n"
    assert "follow=true" in server.requests[0].path
    server.on("GET /jobs/j1/logs", problem(404))
    with pytest.raises(MtsApiError):
        list(client.logs("j1"))


def test_an_evaluation_answers_the_report_or_else_the_job(server: ScriptedServer, client: MtsClient) -> None:
    report = {
        "model": {"name": "a", "version": "1", "uri": "models:/a/1"}, "task": "binary", "primary_metric": "roc_auc",
        "rows": 10, "metrics": {"roc_auc": {"value": 0.8}},
    }  # fmt: skip
    server.on("POST /evaluate", as_json(report), as_json(job("RUNNING", kind="evaluate"), 202))
    spec = {"model": {"name": "a"}, "data": {"source": {"type": "file", "uri": "a.csv"}}}
    assert isinstance(client.evaluate(spec), EvaluationResult)
    assert isinstance(client.evaluate(spec), Job)


def test_models_can_be_listed_promoted_and_rolled_back(server: ScriptedServer, client: MtsClient) -> None:
    model = {"name": "a", "aliases": {"champion": "2"}, "versions": [{"version": "2", "a_later_field": 1}]}
    server.on("GET /models", as_json({"items": [model], "next_cursor": None}))
    server.on("GET /models/a", as_json(model))
    server.on("GET /models/a/versions/2", as_json(model["versions"][0]))
    server.on("POST /models/a/versions/2/promote", as_json(model))
    server.on("POST /models/a/rollback", as_json(model))
    assert [one.name for one in client.models()] == ["a"]
    assert client.model("a").versions[0].version == "2"
    assert client.version("a", 2).version == "2"
    assert client.promote("a", 2, reason="better", force=True).aliases == {"champion": "2"}
    assert json.loads(server.requests[-1].body) == {"reason": "better", "force": True}
    assert client.rollback("a", reason="complaints").aliases == {"champion": "2"}


def test_a_name_stays_one_segment_of_the_path(server: ScriptedServer, client: MtsClient) -> None:
    with pytest.raises(MtsApiError):
        client.job("../models/a?x=1")
    assert server.requests[0].path == "/api/v1/jobs/..%2Fmodels%2Fa%3Fx%3D1"
