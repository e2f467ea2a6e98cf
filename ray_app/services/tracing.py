"""Traces by configuration: spans of requests and of attempts at jobs, sent to an OpenTelemetry collector (OTLP, HTTP).

Requests continue the trace that their `traceparent` names (W3C Trace Context). All attempts at a job are in one trace,
whose id follows from the job's id: no process has to hand it on, and whoever knows the job finds its trace. Without
MTS_OTLP_ENDPOINT nothing is imported, kept or sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from training.events import SilentObserver

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from training.events import Phase

SERVICE = "model-training-service"
_job_trace: ContextVar[int | None] = ContextVar("job_trace", default=None)


def trace_of(job_id: str) -> str:
    """Id of the trace that has the job's spans, 32 hexadecimal digits."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:32]


class RequestSpan(Protocol):
    """The span of one request."""

    def answered(self, status: int, route: str | None, location: str | None) -> None:
        """The answer begins."""


class NoSpan:
    """Where nothing is traced."""

    def answered(self, status: int, route: str | None, location: str | None) -> None:
        """Does nothing."""


class OpenSpan:
    """Notes what was answered, by the names of OpenTelemetry's semantic conventions for HTTP."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, status: int, route: str | None, location: str | None) -> None:
        """The answer begins."""
        self._span.set_attribute("http.response.status_code", status)
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        job_id = (location or "").rpartition("/jobs/")[2]
        if location and "/jobs/" in location:
            self._span.set_attributes({"mts.job.id": job_id, "mts.job.trace_id": trace_of(job_id)})


@contextmanager
def request_span(
    endpoint: str | None, method: str, headers: Mapping[str, str], request_id: str
) -> Iterator[RequestSpan]:
    """Spans a request until its answer is complete; an exception is noted.

    Args:
        endpoint: of the collector; None for no traces.
        method: of HTTP.
        headers: of the request.
        request_id: as in the logs.
    """
    if endpoint is None:
        yield NoSpan()
        return
    from opentelemetry.trace import SpanKind  # noqa: PLC0415  only where traces are wanted
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    parent = TraceContextTextMapPropagator().extract(dict(headers))
    attributes = {"http.request.method": method, "mts.request.id": request_id}
    with _provider(endpoint).get_tracer(SERVICE).start_as_current_span(
        method, context=parent, kind=SpanKind.SERVER, attributes=attributes
    ) as span:  # fmt: skip
        yield OpenSpan(span, method)


class AttemptSpans(SilentObserver):
    """Spans the phases of an attempt; hears of them as an observer of the pipeline."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SERVICE)
        self._open: Span | None = None

    def phase(self, phase: Phase) -> None:
        """A phase begins."""
        self.end()
        self._open = self._tracer.start_span(phase)

    def end(self) -> None:
        """The last phase is over."""
        if self._open is not None:
            self._open.end()
            self._open = None


@contextmanager
def attempt_spans(endpoint: str | None, job_id: str, kind: str, attempt: int) -> Iterator[AttemptSpans | None]:
    """Spans an attempt at a job, with a span for each phase within; None where nothing is traced."""
    if endpoint is None:
        yield None
        return
    provider = _provider(endpoint)
    attributes: dict[str, str | int] = {"mts.job.id": job_id, "mts.job.kind": kind, "mts.job.attempt": attempt}
    token = _job_trace.set(int(trace_of(job_id), 16))
    try:
        with provider.get_tracer(SERVICE).start_as_current_span(f"{kind} attempt", attributes=attributes):
            spans = AttemptSpans(provider)
            try:
                yield spans
            finally:
                spans.end()
    finally:
        _job_trace.reset(token)


def flush(endpoint: str | None, timeout_s: float = 5.0) -> None:
    """Sends what waits, before the process ends; what the collector does not take is lost."""
    if endpoint is not None:
        _provider(endpoint).force_flush(int(timeout_s * 1000))


@lru_cache(maxsize=4)
def _provider(endpoint: str) -> TracerProvider:
    """One for the process: it holds a thread that sends in the background, and drops spans that nobody takes."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    class JobIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _job_trace.get() or super().generate_trace_id()

    resource = Resource.create({"service.name": SERVICE})
    provider = TracerProvider(resource=resource, id_generator=JobIds(), shutdown_on_exit=False)
    exporter: Any = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
