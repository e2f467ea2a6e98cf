"""Wire types of the models endpoints."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from training.spec import SpecModel

Reason = Annotated[str, Field(max_length=1000)]


class PromoteRequest(SpecModel):
    """Makes a version the champion."""

    force: bool = False
    """Past the gate; needs the role approver and a reason."""
    reason: Annotated[Reason, Field(validate_default=True)] = ""
    """For the record."""

    @field_validator("reason")
    @classmethod
    def _forced_with_reason(cls, reason: str, info: ValidationInfo) -> str:
        if info.data.get("force") and not reason.strip():
            raise ValueError("force needs a reason")
        return reason


class RollbackRequest(SpecModel):
    """Makes the previous champion the champion again."""

    reason: Reason = ""
    """For the record."""


class ArchiveRequest(SpecModel):
    """Puts a version away, or takes it back."""

    archived: bool = True
    reason: Reason = ""
    """For the record."""


ARCHIVE_EXAMPLES: dict[str, dict[str, Any]] = {
    "archive": {"summary": "Put away", "value": {"reason": "trained on rows of the wrong branch"}},
    "restore": {"summary": "Take back", "value": {"archived": False}},
}
PROMOTE_EXAMPLES: dict[str, dict[str, Any]] = {
    "gate": {"summary": "Through the gate", "value": {"reason": "better on the hold-out rows"}},
    "force": {"summary": "Past the gate", "value": {"force": True, "reason": "the champion leaks the target"}},
}
ROLLBACK_EXAMPLES: dict[str, dict[str, Any]] = {
    "rollback": {"summary": "Back to the version before", "value": {"reason": "complaints since Monday"}}
}
