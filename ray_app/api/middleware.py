"""What surrounds every request: its id, safe headers, its measurement, and the last net for unexpected errors."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_app.api.errors import TooLargeError, error_response, internal_error_response
from ray_app.api.telemetry import HttpMetrics
from ray_app.services.audit import AuditLog
from ray_app.services.documents import MalformedError
from ray_app.services.keys import Caller
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


class EdgeMiddleware:
    """Plain ASGI, so that streams are neither buffered nor cut off from the client's disconnect.

    Args:
        app: the application inside.
        metrics: where requests are counted.
        audit: where what changes something, or was refused, is noted.
        max_body_mb: a larger body is refused, by its Content-Length or while it comes in.
        body_limits_mb: other limits, for paths that match a pattern.
        answer_request_id: whether to send X-Request-Id; not where a proxy in front already does (Ray Serve's).
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics,
        *,
        audit: AuditLog,
        max_body_mb: float,
        answer_request_id: bool,
        body_limits_mb: Mapping[str, float] | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._audit = audit
        self._max_body_mb = max_body_mb
        self._body_limits = [(re.compile(path), limit_mb) for path, limit_mb in (body_limits_mb or {}).items()]
        self._answer_request_id = answer_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status: int | None = None

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURE_HEADERS.items():
                    headers.setdefault(name, value)
                if self._answer_request_id:
                    headers["X-Request-Id"] = request_id
                self._metrics.observe(scope, status, time.perf_counter() - started)
                self._note(scope, status, request_id, headers.get("location"))
            await send(message)

        try:
            with self._metrics.open_requests.track_inprogress():
                refusal = self._refusal(scope)
                if refusal is None:
                    await self._app(scope, self._limited(scope, receive), send_safely)
                else:
                    await error_response(Request(scope), refusal)(scope, receive, send_safely)
        except Exception:
            logger.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if status is not None:  # half of an answer is out: only a broken connection tells the caller
                raise
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
        limit_mb = self._limit_mb(scope)
        if length.isdecimal() and int(length) > limit_mb * 1_000_000:
            return _too_large(limit_mb)
        return None

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        received, limit_mb = 0, self._limit_mb(scope)

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit_mb * 1_000_000:
                raise _too_large(limit_mb)
            return message

        return limited

    def _limit_mb(self, scope: Scope) -> float:
        found = (limit_mb for path, limit_mb in self._body_limits if path.fullmatch(scope["path"]))
        return next(found, self._max_body_mb)


def _too_large(limit_mb: float) -> TooLargeError:
    return TooLargeError(
        f"the body is larger than {limit_mb:g} MB",
        hint="Put the rows into a file under a data root, or let the operator raise MTS_MAX_BODY_MB.",
    )


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
