"""Registered models as the service answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class ModelVersion(BaseModel):
    """A version of a registered model; newer services may say more."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    version: str
    status: str | None = None
    created_at: datetime | None = None
    job_id: str | None = None
    metrics: dict[str, Any] = {}
    """By name: {"value", "low", "high"}."""
    data_sha256: str | None = None
    aliases: list[str] = []


class ModelDetails(BaseModel):
    """A registered model with its versions, newest first."""

    model_config = ConfigDict(extra="allow")

    name: str
    aliases: dict[str, str] = {}
    versions: list[ModelVersion] = []
