"""An HTTP server that answers as a test says: for what the real service does only when something is wrong."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; `breaks` cuts the connection after the body, and status 0 before any answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False


DROP = Answer(status=0)


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value).encode(), headers=headers)


def problem(status: int, **fields: Any) -> Answer:
    """An RFC 9457 answer."""
    body = json.dumps({"type": "urn:x", "title": "Title", "status": status, "detail": "detail"} | fields).encode()
    return Answer(status, body, "application/problem+json")


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Answers each path with its answers in turn; the last one stays."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self._answers: dict[str, list[Answer]] = {}

    def on(self, call: str, *answers: Answer) -> None:
        """`call` is such as "GET /jobs/j1": the path under /api/v1, without its query."""
        self._answers[call] = list(answers)

    def answer(self, request: Request) -> Answer:
        """The next answer to the request."""
        self.requests.append(request)
        answers = self._answers.get(f"{request.method} {request.path.partition('?')[0].removeprefix('/api/v1')}")
        if not answers:
            return problem(404, detail=f"no script for {request.method} {request.path}")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A server on a free port of this machine, while the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        scripted = ScriptedServer(f"http://127.0.0.1:{server.server_address[1]}")
        server.RequestHandlerClass = _handler(scripted.answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield scripted
        finally:
            server.shutdown()
            thread.join()


def _handler(answer: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(Request(self.command, self.path, headers, self.rfile.read(size)))
            if reply.status:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                for name, value in reply.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if not reply.breaks and reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body)))
                elif reply.breaks:
                    self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                size_line = f"{len(reply.body):x}\r\n".encode() if reply.breaks else b""
                self.wfile.write(size_line + reply.body + (b"\r\n" if reply.breaks else b""))
                self.wfile.flush()
            if reply.breaks or not reply.status:
                # without lingering a close is a reset, as when a process is killed
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

        do_GET = do_POST = handle_any  # noqa: N815 - the names that the base class calls

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
            """Says nothing."""

    return Handler
