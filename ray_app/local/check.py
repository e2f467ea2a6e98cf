"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Check(BaseModel):
    """One thing that was looked at."""

    name: str
    status: Literal["ok", "failed", "skipped"]
    found: str
    remedy: str = ""


def verdict(name: str, good: bool, found: str, remedy: str) -> Check:  # noqa: FBT001 - always positional
    """The check; a remedy belongs to what failed only."""
    return Check(name=name, status="ok" if good else "failed", found=found, remedy="" if good else remedy)
