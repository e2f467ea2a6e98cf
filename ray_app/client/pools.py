"""The client's part for active learning."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_app.client.transport import TIMEOUT_S, Transport, segment
from ray_app.services.active_learning import Batch, LabelHistory, LabelsAnswer
from ray_app.services.pool_report import PoolInfo, PoolPage

PATH = "/active-learning/pools"
PAGE_SIZE = 100


class PoolCalls:
    """Pools of rows to label; see MtsClient. Calls may be repeated: the same again changes nothing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> PoolInfo:
        """Makes a pool; its first rows are being chosen when this answers."""
        response = self._transport.send(
            "POST", PATH, body=dict(spec), headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
            idempotent=True, timeout_s=2 * TIMEOUT_S,
        )  # fmt: skip
        return PoolInfo.model_validate_json(response.content)

    def get(self, pool_id: str) -> PoolInfo:
        """A pool: how far it is, learning curves, whether to stop."""
        return PoolInfo.model_validate_json(self._transport.send("GET", f"{PATH}/{segment(pool_id)}").content)

    def all(self) -> Iterator[PoolInfo]:
        """Pools, newest first."""
        cursor = None
        while True:
            response = self._transport.send("GET", PATH, params={"limit": PAGE_SIZE, "cursor": cursor})
            page = PoolPage.model_validate_json(response.content)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def query(
        self, pool_id: str, *, labeller: str | None = None, size: int | None = None, wait_s: float = 0
    ) -> Batch:  # fmt: skip
        """Rows to label: those that the labeller holds already, then others; waits up to `wait_s` (at most 60)."""
        response = self._transport.send(
            "POST", f"{PATH}/{segment(pool_id)}/query", params={"wait_s": wait_s or None}, idempotent=True,
            body={"labeller": labeller, "size": size}, timeout_s=TIMEOUT_S + wait_s,
        )  # fmt: skip
        return Batch.model_validate_json(response.content)

    def label(
        self, pool_id: str, labels: Sequence[Mapping[str, Any]], *, labeller: str | None = None
    ) -> LabelsAnswer:  # fmt: skip
        """Stores labels: [{"id", "label", "verdict"}, …], all of them or none."""
        response = self._transport.send(
            "POST", f"{PATH}/{segment(pool_id)}/labels", idempotent=True,
            body={"labeller": labeller, "labels": [dict(one) for one in labels]}, timeout_s=2 * TIMEOUT_S,
        )  # fmt: skip
        return LabelsAnswer.model_validate_json(response.content)

    def history(self, pool_id: str) -> LabelHistory:
        """Everything that labellers said."""
        response = self._transport.send("GET", f"{PATH}/{segment(pool_id)}/labels")
        return LabelHistory.model_validate_json(response.content)

    def export(self, pool_id: str) -> Any:
        """The rows that were chosen, as tasks of Label Studio."""
        return self._transport.send("GET", f"{PATH}/{segment(pool_id)}/label-studio").json()

    def take_in(self, pool_id: str, tasks: Sequence[Mapping[str, Any]]) -> LabelsAnswer:
        """Stores the annotations of a JSON export of Label Studio."""
        response = self._transport.send(
            "POST", f"{PATH}/{segment(pool_id)}/label-studio", body=list(tasks), idempotent=True, timeout_s=120
        )  # fmt: skip
        return LabelsAnswer.model_validate_json(response.content)
