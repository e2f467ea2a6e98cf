"""Wire types of the health endpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The service can take work."""

    status: Literal["ready"] = "ready"
    components: dict[str, str]
