"""The part of the client that watches models in use."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import httpx

from ray_app.client.transport import TIMEOUT_S, Transport, segment
from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage
from training.monitoring.results import InflowReceipt, MonitorReport

BATCH_ROWS = 20_000
WAIT_S = 30.0
NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
Stream = Literal["predictions", "outcomes"]


class MonitorsApi:
    """Monitors; reached as `client.monitors`. Raises as MtsClient does.

    Args:
        transport: of the client.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, spec: Mapping[str, Any], *, replace: bool = False) -> Monitor:
        """Makes a monitor; with `replace` also where another one has the name."""
        if replace:
            path = f"/monitors/{segment(spec['name'])}"
            answer = self._transport.send("PUT", path, body=dict(spec), idempotent=True)
        else:
            answer = self._transport.send("POST", "/monitors", body=dict(spec), idempotent=True)
        return Monitor.model_validate_json(answer.content)

    def get(self, name: str) -> Monitor:
        """A monitor."""
        return Monitor.model_validate_json(self._transport.send("GET", f"/monitors/{segment(name)}").content)

    def list(self) -> Iterator[Monitor]:
        """All monitors by name."""
        cursor = None
        while True:
            answer = self._transport.send("GET", "/monitors", params={"limit": 100, "cursor": cursor})
            page = MonitorPage.model_validate_json(answer.content)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def delete(self, name: str) -> None:
        """Forgets a monitor and its stream."""
        self._transport.send("DELETE", f"/monitors/{segment(name)}", idempotent=True)

    def predictions(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Sends predictions (id, time, features, scores, version), in batches; says how many were kept."""
        return self._send_rows(name, "predictions", rows)

    def outcomes(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Sends outcomes (id, actual, time), in batches; says how many were kept."""
        return self._send_rows(name, "outcomes", rows)

    def send_table(self, name: str, stream: Stream, frame: Any) -> InflowReceipt:
        """Sends a pandas frame of at most 100,000 rows as Parquet: id, time, score and a column for each feature."""
        body = io.BytesIO()
        frame.to_parquet(body, index=False)
        return self.send_body(name, stream, body.getvalue(), PARQUET)

    def send_body(self, name: str, stream: Stream, body: bytes, content_type: str) -> InflowReceipt:
        """Sends a batch as it is. Sent again after a lost answer it changes nothing."""
        path = f"/monitors/{segment(name)}/{stream}"
        answer = self._transport.send(
            "POST", path, content=body, headers={"Content-Type": content_type}, idempotent=True, timeout_s=4 * TIMEOUT_S
        )
        return InflowReceipt.model_validate_json(answer.content)

    def report(self, name: str, *, timeout_s: float = 600.0) -> MonitorReport:
        """The report of the stream as it is.

        Raises:
            TimeoutError: it is not made after `timeout_s`.
        """
        return MonitorReport.model_validate_json(self._report(name, "application/json", timeout_s))

    def page(self, name: str, *, timeout_s: float = 600.0) -> str:
        """The same as an HTML page."""
        return self._report(name, "text/html", timeout_s).decode()

    def alarms(self, name: str, *, limit: int = 50) -> AlarmPage:
        """The newest alarms, and what was done about them."""
        answer = self._transport.send("GET", f"/monitors/{segment(name)}/alarms", params={"limit": limit})
        return AlarmPage.model_validate_json(answer.content)

    def _report(self, name: str, accept: str, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self._transport.send(
                "GET", f"/monitors/{segment(name)}/report", params={"wait_s": WAIT_S}, headers={"Accept": accept},
                timeout_s=TIMEOUT_S + WAIT_S,
            )  # fmt: skip
            if answer.status_code != httpx.codes.ACCEPTED:
                return answer.content
            if time.monotonic() > deadline:
                raise TimeoutError(f"the report of {name} is not made after {timeout_s:g} s")

    def _send_rows(self, name: str, stream: Stream, rows: Iterable[Mapping[str, Any]]) -> int:
        kept, batch = 0, list[str]()
        for row in rows:
            batch.append(json.dumps(row, default=str, allow_nan=False))
            if len(batch) == BATCH_ROWS:
                kept += self.send_body(name, stream, "\n".join(batch).encode(), NDJSON).accepted
                batch = []
        if batch:
            kept += self.send_body(name, stream, "\n".join(batch).encode(), NDJSON).accepted
        return kept
