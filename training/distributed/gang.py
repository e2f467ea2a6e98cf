"""Room for all workers of a fit at once: a placement group, so that two fits never wait for each other's half."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Self

import ray
from ray._private import state as ray_state
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.placement_group import PlacementGroup

from training.errors import UnavailableError
from training.events import Observer
from training.releasing import release_named

LOOK_EVERY_S = 0.2
GONE = "does not exist"
"""What Ray says of a placement group that it does not have any more."""
STRATEGY = "PACK"
"""Few nodes: less goes over the network, and the others can go when they are idle."""


class Gang:
    """A placement group with one bundle for each worker. Ray kills whatever runs in it when it is released."""

    def __init__(self, label: str, bundle: Mapping[str, float], workers: int) -> None:
        self._label, self._bundle, self.workers = label, dict(bundle), workers
        self._waits = False
        self._lock = threading.Lock()
        self._released = False
        self.group = self._ask()

    @classmethod
    def reserve(cls, label: str, bundle: Mapping[str, float], workers: int) -> Self:
        """Asks for the room and returns at once; what is pending is what an autoscaler sees."""
        release_named(label)
        return cls(label, bundle, workers)

    def resize(self, workers: int) -> None:
        """Asks for room for another number of workers in the place of the present; nothing may run in it.

        Raises:
            UnavailableError: the room was given back meanwhile, by whoever ends the fit: nobody would give back more.
        """
        with self._lock:
            if self._released:
                raise _gone()
            remove_placement_group(self.group)
            self.workers = workers
            self.group = self._ask()

    def leave_draining(self) -> None:
        """Asks for room elsewhere, where a node of the present room is to go; nothing may run in it.

        Ray starts nothing more on such a node, and keeps its part of the room there until it is gone.

        Raises:
            UnavailableError: as `resize`.
        """
        places: dict[int, str] = placement_group_table(self.group).get("bundles_to_node_id", {})
        if draining_nodes().intersection(places.values()):
            self.resize(self.workers)

    def _ask(self) -> PlacementGroup:
        group: PlacementGroup = placement_group([self._bundle] * self.workers, strategy=STRATEGY, name=self._label)
        return group

    @property
    def pending(self) -> str:
        """The room that somebody waits for, for people; "" where nobody does."""
        return f"waiting for {describe(self._bundle, self.workers)}" if self._waits else ""

    def wait(self, observer: Observer) -> None:
        """Returns when there is room for all, and meanwhile tells what it waits for.

        Raises:
            JobCancelledError: somebody asked the job to stop.
            UnavailableError: Ray has lost the group, as when a node is cut off while it is made.
        """
        self.until_ready(lambda: observer.waiting(self.pending))
        observer.waiting("")

    def until_ready(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Returns when there is room for all, however long that takes: a node may be on its way.

        Raises:
            UnavailableError: the group was released, or Ray has lost it.
        """
        self._waits = True
        try:
            while not self._is_ready():
                meanwhile()
        finally:
            self._waits = False

    def _is_ready(self) -> bool:
        try:
            ready: bool = self.group.wait(LOOK_EVERY_S)
        except Exception as error:
            # Ray has no type of its own for it
            if GONE not in str(error):
                raise
            raise _gone() from error
        return ready

    def release(self) -> None:
        """Gives the room back and ends whatever is in it; from now on no other is asked for."""
        with self._lock:
            self._released = True
            remove_placement_group(self.group)


def _gone() -> UnavailableError:
    message = "the room that was reserved for the workers is gone"
    return UnavailableError(message, hint="Submit the job again once the cluster is at rest.")


def describe(bundle: Mapping[str, float], workers: int) -> str:
    """For people: "2 workers with 1 CPU each"."""
    parts = [f"{bundle.get(kind, 0):g} {kind}{'s' if bundle.get(kind, 0) != 1 else ''}" for kind in ("CPU", "GPU")
             if bundle.get(kind)]  # fmt: skip
    if bundle.get("memory"):
        parts.append(f"{bundle['memory'] / 1024**2:.0f} MB")
    noun = "worker" if workers == 1 else "workers"
    return f"{workers} {noun} with {' and '.join(parts)} each"


def node_is_alive(node_id: str) -> bool:
    """Whether Ray still counts on the node."""
    nodes: list[dict[str, object]] = ray.nodes()  # type: ignore[no-untyped-call]  # ray has no annotation here
    return any(node["NodeID"] == node_id and node["Alive"] for node in nodes)


def draining_nodes() -> frozenset[str]:
    """Ids of the nodes that are to go, as the cloud or the autoscaler has announced. There is no public call for it."""
    return frozenset(ray_state.state.get_draining_nodes())
