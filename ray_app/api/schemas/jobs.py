"""Wire types of the jobs endpoints."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from ray_app.jobs.model import JobQuery


class JobFilters(JobQuery):
    """Query parameters of GET /jobs."""

    @field_validator("status", mode="before")
    @classmethod
    def _upper_case_list(cls, raw: Any) -> Any:
        """Takes `status=FAILED&status=RUNNING`, `status=FAILED,RUNNING` and lower case."""
        if not isinstance(raw, list):
            return raw
        return [part.strip().upper() for text in raw for part in str(text).split(",") if part.strip()]
