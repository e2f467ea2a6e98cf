"""What surrounds every request: its id, safe headers, its measurement, and the last net for unexpected errors."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_app.api.errors import TooLargeError, error_response, internal_error_response
from ray_app.api.telemetry import HttpMetrics
from ray_app.services.audit import AuditLog
from ray_app.services.documents import MalformedError
from ray_app.services.keys import Caller
from ray_app.services.structured_logs import of_request
from ray_app.services.tracing import NoSpan, RequestSpan, request_span
from training.errors import TrainingError

logger = logging.getLogger("ray_app.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
SECURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class BodyLimit:
    """The largest body that is taken on some paths, and the setting that says so.

    Args:
        path: pattern of the whole path.
        max_mb: in millions of bytes.
        variable: name of the setting.
    """

    path: str
    max_mb: float
    variable: str

    def exceeded(self) -> TooLargeError:
        """The error for a larger one."""
        return TooLargeError(
            f"the body is larger than {self.max_mb:g} MB",
            hint=f"Put the rows into a file under a data root, or let the operator raise {self.variable}.",
        )


class EdgeMiddleware:
    """Plain ASGI, so that streams are neither buffered nor cut off from the client's disconnect.

    Args:
        app: the application inside.
        metrics: where requests are counted.
        audit: where what changes something, or was refused, is noted.
        max_body_mb: a larger body is refused, by its Content-Length or while it comes in.
        other_limits: for paths with a limit of their own.
        answer_request_id: whether to send X-Request-Id; not where a proxy in front already does (Ray Serve's).
        otlp_endpoint: who hears of each request; None for nobody.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics,
        *,
        audit: AuditLog,
        max_body_mb: float,
        answer_request_id: bool,
        other_limits: Sequence[BodyLimit] = (),
        otlp_endpoint: str | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._audit = audit
        self._max_body_mb = max_body_mb
        self._other_limits = tuple(other_limits)
        self._answer_request_id = answer_request_id
        self._otlp_endpoint = otlp_endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        request_id = _request_id(sent.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status: int | None = None
        span: RequestSpan = NoSpan()

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURE_HEADERS.items():
                    headers.setdefault(name, value)
                if self._answer_request_id:
                    headers["X-Request-Id"] = request_id
                span.answered(status, getattr(scope.get("route"), "path", None), headers.get("location"))
                self._metrics.observe(scope, status, time.perf_counter() - started)
                self._note(scope, status, request_id, headers.get("location"))
            await send(message)

        try:
            with (
                self._metrics.open_requests.track_inprogress(),
                of_request(request_id),
                request_span(self._otlp_endpoint, scope["method"], sent, request_id) as span,
            ):
                refusal = self._refusal(scope)
                if refusal is None:
                    await self._app(scope, self._limited(scope, receive), send_safely)
                else:
                    await error_response(Request(scope), refusal)(scope, receive, send_safely)
        except Exception:
            logger.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if status is not None:  # half of an answer is out: only a broken connection tells the caller
                raise
            span = NoSpan()  # it ended with the exception
            await internal_error_response(Request(scope))(scope, receive, send_safely)

    def _note(self, scope: Scope, status: int, request_id: str, location: str | None) -> None:
        caller: Caller | None = scope["state"].get("caller")
        client = scope.get("client")
        self._audit.record(
            scope["method"], scope["path"], status, caller=caller.id if caller else None,
            role=caller.role if caller else None, client=client[0] if client else None, request_id=request_id,
            location=location,
        )  # fmt: skip

    def _refusal(self, scope: Scope) -> TrainingError | None:
        """What can be refused by the head of the request alone."""
        if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
            return MalformedError("the address holds a NUL character")
        length = Headers(scope=scope).get("content-length", "0")
        limit = self._limit(scope)
        if length.isdecimal() and int(length) > limit.max_mb * 1_000_000:
            return limit.exceeded()
        return None

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        received, limit = 0, self._limit(scope)

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit.max_mb * 1_000_000:
                raise limit.exceeded()
            return message

        return limited

    def _limit(self, scope: Scope) -> BodyLimit:
        found = (limit for limit in self._other_limits if re.fullmatch(limit.path, scope["path"]))
        return next(found, BodyLimit(".*", self._max_body_mb, "MTS_MAX_BODY_MB"))


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
