"""Where the trials of a study run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from training.spec import ResourcesSpec
from training.tuning.controller import Slots

MIB = 1024**2


@contextmanager
def connected() -> Iterator[None]:
    """The cluster of this process; where there is none, one on this machine that ends with the context."""
    if ray.is_initialized():
        yield
        return
    ray.init(include_dashboard=False, configure_logging=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def slots_for(resources: ResourcesSpec, num_trials: int, limit: int | None) -> Slots:
    """Room for as many trials at once as are asked for, or as the cluster can hold; at least one. Of trials that are
    spread over workers never more than it can hold, for what waits would only hold its rows in memory.

    The CPUs of the job itself count too: while its process waits for trials, Ray lends them out.
    """
    wanted = {
        "CPU": float(resources.cpus_per_worker),
        "GPU": float(resources.gpus_per_worker),
        "memory": float((resources.memory_mb or 0) * MIB),
    }
    wanted = {name: amount for name, amount in wanted.items() if amount}
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    room = sum(_room(node["Resources"], wanted) for node in nodes if node["Alive"]) // resources.max_workers
    count = min(limit or room, num_trials) if resources.max_workers == 1 else min(limit or room, room, num_trials)
    return Slots(max(1, count), wanted, resources.max_workers)


def _room(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """Workers that a node can hold."""
    return min(int(node.get(name, 0.0) // amount) for name, amount in wanted.items())
