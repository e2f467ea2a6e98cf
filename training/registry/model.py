"""Registered models as the API answers them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from pydantic import Field

from training.result import GateVerdict, Interval, ResultModel

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
ARCHIVED = "archived"
"""Tag of a version that was put away."""
AUDIT = "audit."
"""What the tags of a model begin with that hold its audit log."""


class AliasChange(ResultModel):
    """Something that was done to a version: by whom, when and why."""

    action: str
    """promote, rollback, archive, restore or delete."""
    by: str
    at: datetime
    reason: str
    replaced: str | None = None
    """The champion before."""


class AuditEntry(AliasChange):
    """An entry of a model's audit log."""

    version: str


class AuditLog(ResultModel):
    """What was done to the versions of a model, newest first."""

    items: list[AuditEntry]


class VersionInfo(ResultModel):
    """A version of a registered model. Fields beyond the metrics are empty where it was not made by this service."""

    name: str
    version: str
    uri: str
    status: str
    created_at: datetime
    aliases: list[str] = []
    job_id: str | None = None
    attempt: int | None = None
    run_id: str | None = None
    task: str | None = None
    metrics: dict[str, Interval] = {}
    """On the hold-out rows of its job."""
    data_sha256: str | None = None
    code_version: str | None = None
    lineage: dict[str, str] = {}
    """Further facts about where it comes from."""
    gate: GateVerdict | None = None
    """What the gate said when it was made."""
    history: list[AliasChange] = []
    """When it became the champion."""
    archived: bool = False
    """Put away: it cannot be promoted."""
    source: str = Field(default="", exclude=True, repr=False)
    """Where its artifacts are; not for callers."""


class ModelInfo(ResultModel):
    """A registered model; newest version first."""

    name: str
    aliases: dict[str, str]
    versions: list[VersionInfo]


class ModelPage(ResultModel):
    """A page of models, each with its newest version only."""

    items: list[ModelInfo]
    next_cursor: str | None = None


def version_info(found: ModelVersion, aliases: Iterable[str] | None = None) -> VersionInfo:
    """A version of MLflow's as ours.

    Args:
        found: as MLflow gives it.
        aliases: that point at it; where None, those that MLflow gives with it (it gives none with a list).
    """
    tags = found.tags
    version = str(found.version)
    return VersionInfo(
        name=found.name,
        version=version,
        uri=f"models:/{found.name}/{version}",
        status=str(found.status),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        aliases=sorted(found.aliases if aliases is None else aliases),
        job_id=tags.get("job_id"),
        attempt=int(tags["attempt"]) if "attempt" in tags else None,
        run_id=found.run_id or None,
        task=tags.get("task"),
        metrics=_from_json(tags, "metrics", {}),
        data_sha256=tags.get("data_sha256"),
        code_version=tags.get("code_version"),
        lineage=_from_json(tags, "lineage", {}),
        gate=_from_json(tags, "gate", None),
        history=_from_json(tags, "history", []),
        archived=bool(tags.get(ARCHIVED)),
        source=found.source or "",
    )


def model_info(found: RegisteredModel, versions: list[ModelVersion]) -> ModelInfo:
    """A registered model of MLflow's as ours."""
    aliases = {alias: str(version) for alias, version in found.aliases.items()}
    newest_first = sorted(versions, key=lambda version: int(version.version), reverse=True)
    return ModelInfo(
        name=found.name,
        aliases=aliases,
        versions=[
            version_info(version, [alias for alias, target in aliases.items() if target == str(version.version)])
            for version in newest_first
        ],
    )


def audit_log(found: RegisteredModel) -> AuditLog:
    """The audit log of a registered model of MLflow's."""
    keys = sorted((key for key in found.tags if key.startswith(AUDIT)), reverse=True)
    return AuditLog(items=[AuditEntry.model_validate_json(found.tags[key]) for key in keys])


def _from_json(tags: dict[str, str], key: str, default: Any) -> Any:
    """A tag of ours; whoever writes one by hand into MLflow must not make the model unreadable."""
    try:
        return json.loads(tags[key]) if key in tags else default
    except ValueError:
        return default
