"""The use cases of monitors as the API and its services see them; the dispatcher is behind it."""

from __future__ import annotations

from typing import Any, Protocol

from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage


class Monitors(Protocol):
    """Monitors of the cluster. Every method may be called from many coroutines at once, and twice is the same as once.

    Each raises UnavailableError when the dispatcher cannot be reached, and NotFoundError for an unknown monitor.
    """

    async def put(self, spec: dict[str, Any], *, replace: bool) -> tuple[Monitor, bool]:
        """Stores a monitor. The flag says whether it is new.

        Raises:
            ConflictError: it is there with another spec, and is not to be replaced.
        """

    async def get(self, name: str) -> Monitor:
        """A monitor."""

    async def list(self, limit: int, cursor: str | None) -> MonitorPage:
        """A page of monitors by name."""

    async def remove(self, name: str) -> None:
        """Forgets the monitor, its alarms and actions."""

    async def alarms(self, name: str, limit: int, cursor: str | None) -> AlarmPage:
        """A page of alarms, newest first."""
