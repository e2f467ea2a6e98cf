"""Whether the service can take work: the dispatcher, the store, the cluster and the registry can be reached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ray_app.jobs.port import Jobs
from ray_app.services.pool import BoundedPool
from training.errors import TrainingError
from training.registry import Registry

logger = logging.getLogger("ray_app.readiness")

CHECK_TIMEOUT_S = 5.0
OK = "ok"


class Readiness:
    """Asks each component, all at once, for at most CHECK_TIMEOUT_S."""

    def __init__(self, jobs: Jobs, registry: Registry, pool: BoundedPool) -> None:
        self._jobs = jobs
        self._registry = registry
        self._pool = pool

    async def check(self) -> dict[str, str]:
        """`ok` or the reason, by component: dispatcher, store, cluster, registry."""
        jobs, registry = await asyncio.gather(self._ask_jobs(), self._ask_registry())
        components = {**jobs, **registry}
        for name, state in components.items():
            if state != OK:
                logger.warning("not ready: %s: %s", name, state)
        return components

    async def _ask_jobs(self) -> Mapping[str, str]:
        try:
            return {"dispatcher": OK, **await asyncio.wait_for(self._jobs.health(), CHECK_TIMEOUT_S)}
        except (TrainingError, TimeoutError) as error:
            unknown = "unknown: the dispatcher cannot be asked"
            return {"dispatcher": _reason(error), "store": unknown, "cluster": unknown}

    async def _ask_registry(self) -> Mapping[str, str]:
        try:
            await asyncio.wait_for(self._pool.run(self._registry.health), CHECK_TIMEOUT_S)
        except (TrainingError, TimeoutError) as error:
            return {"registry": _reason(error)}
        return {"registry": OK}


def _reason(error: Exception) -> str:
    if isinstance(error, TrainingError):
        return error.message
    return f"no answer within {CHECK_TIMEOUT_S:.0f} s"
