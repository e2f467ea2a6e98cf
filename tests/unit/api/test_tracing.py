"""Traces, as a real collector's HTTP interface receives them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ray_app.services import tracing
from ray_app.services.tracing import attempt_spans, flush, trace_of

JOB = "job_00000000000000000000000001"


class Collector:
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                found = ExportTraceServiceRequest.FromString(body)
                for resource in found.resource_spans:
                    collector.services |= {
                        one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                    }
                    collector.spans += [span for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def heard(self) -> dict[str, Any]:
        """The spans by name."""
        flush(self.url)
        return {span.name: span for span in self.spans}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    tracing._provider(made.url).shutdown()
    made.server.shutdown()
    made.server.server_close()


def told(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_continues_the_callers_trace_and_names_its_job(
    collector: Collector, make_api: Any, spec: dict[str, Any]
) -> None:
    api = make_api(otlp_endpoint=collector.url)
    caller = "0af7651916cd43dd8448eb211c80319c"
    answer = api.post("/api/v1/train", json=spec, headers={"traceparent": f"00-{caller}-b7ad6b7169203331-01"})
    job_id = answer.json()["id"]
    assert api.get("/api/v1/jobs/none").status_code == 404

    spans = collector.heard()
    made = spans["POST /api/v1/train"]
    assert made.trace_id.hex() == caller
    assert told(made)["http.response.status_code"] == 202
    assert told(made)["mts.request.id"] == answer.headers["x-request-id"]
    assert (told(made)["mts.job.id"], told(made)["mts.job.trace_id"]) == (job_id, trace_of(job_id))
    assert told(spans["GET /api/v1/jobs/{job_id}"])["http.response.status_code"] == 404
    assert collector.services == {"model-training-service"}


def test_all_attempts_at_a_job_are_in_its_trace_with_a_span_for_each_phase(collector: Collector) -> None:
    def broken(attempt: int) -> None:
        with attempt_spans(collector.url, JOB, "train", attempt) as spans:
            assert spans is not None
            spans.phase("load")
            spans.phase("fit")
            raise RuntimeError("the fit broke")

    for attempt in (1, 2):
        with pytest.raises(RuntimeError):
            broken(attempt)
    collector.heard()
    assert {span.trace_id.hex() for span in collector.spans} == {trace_of(JOB)}
    attempts = [span for span in collector.spans if span.name == "train attempt"]
    assert sorted(told(span)["mts.job.attempt"] for span in attempts) == [1, 2]
    assert [event.name for span in attempts for event in span.events] == ["exception"] * 2
    fits = [span for span in collector.spans if span.name == "fit"]
    assert {span.parent_span_id for span in fits} == {span.span_id for span in attempts}


def test_without_an_endpoint_nothing_is_traced() -> None:
    with attempt_spans(None, JOB, "train", 1) as spans:
        assert spans is None
    flush(None)
