"""How the API reaches the dispatcher's monitors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ray_app.jobs.monitors.model import AlarmPage, Monitor, MonitorPage


class MonitorsClient:
    """Implements ray_app.jobs.monitors.port.Monitors; every call may be repeated.

    Args:
        call: of the dispatcher: method and arguments.
    """

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        self._call = call

    async def put(self, spec: dict[str, Any], *, replace: bool) -> tuple[Monitor, bool]:
        """Stores a monitor."""
        answer: tuple[Monitor, bool] = await self._call("put", spec, replace=replace)
        return answer

    async def get(self, name: str) -> Monitor:
        """A monitor."""
        monitor: Monitor = await self._call("get", name)
        return monitor

    async def list(self, limit: int, cursor: str | None) -> MonitorPage:
        """A page of monitors by name."""
        page: MonitorPage = await self._call("list", limit, cursor)
        return page

    async def remove(self, name: str) -> None:
        """Forgets a monitor."""
        await self._call("remove", name)

    async def alarms(self, name: str, limit: int, cursor: str | None) -> AlarmPage:
        """A page of alarms."""
        page: AlarmPage = await self._call("alarms", name, limit, cursor)
        return page
