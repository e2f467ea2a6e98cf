"""Keeps a warm worker process for each CPU."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_app.dispatcher.messages import Place
from ray_app.dispatcher.node_sizes import idle_cpus
from ray_app.dispatcher.warmup import warm

logger = logging.getLogger(__name__)

TICK_S = 1.0
KEEP_WARM_S = 60.0
"""Between two looks at idle processes. Ray ends some of them when memory is short, or when the job that started them is
over; a look at a warm one takes milliseconds, and a cold one is warm afterwards."""
RETRY_S = 10.0
"""After a look that failed."""
STAY_S = 0.1
"""Each look keeps its process for so long, so that looks made together meet different processes."""
FIRST_LOOK_TIMEOUT_S = 300.0

_warm_task = ray.remote(max_retries=0, num_cpus=1)(warm)


@dataclass
class Warmer:
    """Looks at the processes of a node when it joins, after one has died, and now and then while it is idle.

    Args:
        runner: import path of the `Runner`.
        place: what workers need of the settings.
    """

    runner: str
    place: Place
    warm_workers: int = 0
    """On all nodes, as far as was seen."""
    _looked_at: dict[str, float] = field(default_factory=dict)
    _warm_on: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Begins, in a thread of its own."""
        threading.Thread(target=self._run, name="warmer", daemon=True).start()

    def process_lost(self) -> None:
        """A worker process has died somewhere."""
        self._looked_at.clear()

    def look(self) -> None:
        """Warms what is due, where CPUs are free: a job that runs is not disturbed."""
        now = time.monotonic()
        nodes = idle_cpus()
        for node_id in self._warm_on.keys() - nodes.keys():
            del self._warm_on[node_id]
        for node_id, cpus in nodes.items():
            if cpus and now - self._looked_at.get(node_id, -KEEP_WARM_S) >= KEEP_WARM_S:
                self._warm_on[node_id] = self._warm(node_id, cpus)
                failed = self._warm_on[node_id] == 0
                self._looked_at[node_id] = now - KEEP_WARM_S + RETRY_S if failed else now
        self.warm_workers = sum(self._warm_on.values())

    def _warm(self, node_id: str, processes: int) -> int:
        here = NodeAffinitySchedulingStrategy(node_id, soft=False)
        looks = [
            _warm_task.options(name="warm-up", scheduling_strategy=here).remote(self.runner, self.place, STAY_S)
            for _ in range(processes)
        ]
        try:
            # not ray.get: it warns of a blocked event loop in every thread of an actor that has one
            slowest_s = max(look.future().result(FIRST_LOOK_TIMEOUT_S) for look in looks)
        except (RayError, TimeoutError):
            logger.exception("warming up on node %s failed", node_id)
            return 0
        if slowest_s > STAY_S:
            logger.info("%d worker processes are warm on node %s, after %.1f s", processes, node_id, slowest_s)
        return processes

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except RayError:
                logger.exception("cannot look at the worker processes")
            time.sleep(TICK_S)
