"""What other services are told: events from the results of jobs and from what people do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ray_app.jobs.webhooks import EventName, WebhookEvent


def of_training(job_id: str, result: Mapping[str, Any], service_url: str) -> list[WebhookEvent]:
    """The events of a finished training job: its version was registered, and perhaps promoted by the gate.

    Their ids follow from the job's, so that telling them twice tells them once.
    """
    model = result.get("model")
    if not model:
        return []
    gate = result.get("gate") or {}
    facts = {"job_id": job_id, "metrics": result.get("metrics"), "gate": gate}
    kinds: list[EventName] = ["version.registered"]
    if gate.get("decision") == "promote":
        kinds.append("version.promoted")
    return [
        WebhookEvent(
            id=f"evt_{job_id}_{kind}", type=kind, created_at=datetime.now(UTC), model=model["name"],
            version=str(model["version"]), data=facts, links=links_of(model["name"], model["version"], service_url),
        )
        for kind in kinds
    ]  # fmt: skip


def of_act(kind: EventName, model: str, version: str, service_url: str, **data: Any) -> WebhookEvent:
    """The event of what somebody did to a version."""
    return WebhookEvent(
        id=f"evt_{secrets.token_hex(16)}", type=kind, created_at=datetime.now(UTC), model=model, version=version,
        data=data, links=links_of(model, version, service_url),
    )  # fmt: skip


def links_of(model: str, version: str, service_url: str) -> dict[str, str]:
    """Where the version, its report and its bundle are."""
    address = f"{service_url}/api/v1/models/{model}/versions/{version}"
    return {"version": address, "report": f"{address}/report", "bundle": f"{address}/bundle"}
