"""How much of the cluster a search uses while others want to use it too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ray
from ray.autoscaler.v2.sdk import get_cluster_status

LOOK_EVERY_S = 1.0
LOOKS_TO_SHRINK = 3
"""So many looks in a row must find somebody waiting: what Ray tells is some tenths of a second old."""
LOOKS_TO_GROW = 10

Waiting = Callable[[int], bool]
"""Told how many processes of its own are starting, whether anything else waits."""


@dataclass
class Share:
    """Trials that a search may run at once: all of its slots while nobody else waits, and one at least.

    A search holds its processes from trial to trial, and would otherwise keep the whole cluster until its end. It gives
    one slot back after another, each when its trial ends, and takes them again when nobody waits any more.
    """

    slots: int
    waiting: Waiting
    clock: Callable[[], float] = time.monotonic
    now: int = 0
    is_wanted: bool = False
    """Whether the last look found somebody waiting."""
    _looked_at: float = 0.0
    _looks: int = 0

    def __post_init__(self) -> None:
        self.now = self.slots
        self._looked_at = self.clock()

    def look(self, starting: int) -> int:
        """The number of trials now; asks the cluster at most once in LOOK_EVERY_S.

        Args:
            starting: processes of this search that wait for room themselves.
        """
        if self.slots == 1 or self.clock() - self._looked_at < LOOK_EVERY_S:
            return self.now
        self._looked_at = self.clock()
        found = self.waiting(starting)
        self._looks = self._looks + 1 if found == self.is_wanted else 1
        self.is_wanted = found
        if self._looks >= (LOOKS_TO_SHRINK if found else LOOKS_TO_GROW):
            self._looks = 0
            self.now = max(1, self.now - 1) if found else min(self.slots, self.now + 1)
        return self.now


def waits_in_cluster(room: Mapping[str, float]) -> Waiting:
    """Asks Ray whether a task, an actor or a placement group waits that would fit into this room.

    What does not fit waits for nodes to come, and would wait no less if the search gave its room away.
    """
    address = ray.get_runtime_context().gcs_address

    def waiting(starting: int) -> bool:
        demands = get_cluster_status(address).resource_demands
        asked = [
            request
            for demand in (*demands.ray_task_actor_demand, *demands.placement_group_demand)
            for request in demand.bundles_by_count
        ]
        fitting = [one for one in asked if all(amount <= room.get(name, 0.0) for name, amount in one.bundle.items())]
        return sum(one.count for one in fitting) > starting

    return waiting
