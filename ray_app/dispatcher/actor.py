"""The Ray actor: the dispatcher with a real cluster."""

from __future__ import annotations

from collections.abc import Callable

import ray

from ray_app.dispatcher.dispatcher import Dispatcher
from ray_app.dispatcher.memory import keep_giving_back
from ray_app.dispatcher.messages import Place, StoreAddress, TaskEnd
from ray_app.dispatcher.metrics import JobMetrics
from ray_app.dispatcher.ray_cluster import RayCluster
from ray_app.dispatcher.warmer import Warmer
from ray_app.jobs.model import JobStats
from ray_app.services.structured_logs import set_up_logs
from ray_app.settings import Settings
from training.heap import settle


class DispatcherActor(Dispatcher):
    """Runs in a process of its own on the head node, and again from the store whenever that process dies.

    Args:
        settings: of the service.
        runner: import path of the `Runner`.
    """

    def __init__(self, settings: Settings, runner: str) -> None:
        set_up_logs(settings.log_format)
        self._warmer = Warmer(runner, Place.of(settings))
        context = ray.get_runtime_context()
        handle = context.current_actor
        self._node_id = context.get_node_id()

        def make_cluster(ended: Callable[[TaskEnd], None]) -> RayCluster:
            def heard(end: TaskEnd) -> None:
                if end.error is not None:
                    self._warmer.process_lost()
                ended(end)

            return RayCluster(handle, Place.of(settings), runner, heard)

        super().__init__(settings, make_cluster, JobMetrics())
        self._warmer.start()
        keep_giving_back()
        settle()

    async def store_address(self) -> StoreAddress:
        """Where the store is, as soon as it is open."""
        await self._opened()
        url = self._settings.store_url
        return StoreAddress(url, self._node_id if url.startswith("sqlite:") else None)

    async def stats(self) -> JobStats:
        """Counts for metrics, and how many worker processes are warm."""
        return (await super().stats()).model_copy(update={"warm_workers": self._warmer.warm_workers})
