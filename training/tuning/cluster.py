"""Where the trials of a study run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Room for as many trials at once as are asked for, or as the cluster can hold; at least one.

    The CPUs of the job itself count too: while its process waits for trials, Ray lends them out.
    """
    wanted = {
        "CPU": float(resources.cpus_per_worker),
        "GPU": float(resources.gpus_per_worker),
        "memory": float((resources.memory_mb or 0) * MIB),
    }
    wanted = {name: amount for name, amount in wanted.items() if amount}
    total = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    room = min(int(total.get(name, 0.0) // amount) for name, amount in wanted.items())
    return Slots(max(1, min(limit or room, num_trials)), wanted)
