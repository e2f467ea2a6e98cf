"""Watches for notices that a node is to go, in the job's own process."""

from __future__ import annotations

from typing import Any, TypeVar

from ray.train.v2._internal.callbacks.preemption_callback import PreemptionCallback
from ray.train.v2._internal.execution.preemption import PreemptionWatcher

Callback = TypeVar("Callback")


def here(callback: Callback) -> Callback | Notices:
    """The callback, or ours in the place of Ray Train's watcher."""
    return Notices() if isinstance(callback, PreemptionCallback) else callback


class Notices(PreemptionCallback):
    """As Ray Train's own, whose watcher is a thread in an actor, which imports for a second while the workers start."""

    _watcher: PreemptionWatcher | None  # type: ignore[assignment]  # the object itself in the place of an actor

    def after_worker_group_start(self, worker_group: Any) -> None:
        """Watches the nodes of these workers."""
        self._stop_watcher()
        nodes: dict[str, list[int]] = {}
        actors: dict[int, Any] = {}
        for worker in worker_group.get_workers():
            rank = worker.distributed_context.world_rank
            nodes.setdefault(worker.metadata.node_id, []).append(rank)
            actors[rank] = worker.actor
        self._watcher = PreemptionWatcher(nodes, self._poll_interval_s, actors)

    def _stop_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher._stop_event.set()
            self._watcher = None
