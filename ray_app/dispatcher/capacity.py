"""What jobs ask for, what the cluster has, and whether the one can ever fit into the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from ray_app.jobs.model import JobKind
from training.errors import ResourceError

MIB = 1024**2


@dataclass(frozen=True)
class Demand:
    """What a job needs: `workers` times the same, each on one node. Several workers start together or not at all."""

    cpus: float = 1
    gpus: float = 0
    memory_bytes: int = 0
    workers: int = 1
    spread: bool = False
    """Whether the fit starts its workers itself: the job's own process then asks for nothing."""

    @classmethod
    def of(cls, kind: JobKind, spec: dict[str, Any]) -> Self:
        """The demand of a stored job; an evaluation takes one CPU."""
        if kind == "evaluate":
            return cls()
        resources = (spec["train"] if kind == "reproduce" else spec).get("resources") or {}
        workers = resources.get("num_workers", 1)
        fewest, most = workers if isinstance(workers, list) else (workers, workers)
        return cls(
            workers=fewest,
            spread=most > 1,
            cpus=resources.get("cpus_per_worker", 1),
            gpus=resources.get("gpus_per_worker", 0),
            memory_bytes=(resources.get("memory_mb") or 0) * MIB,
        )

    def __str__(self) -> str:
        parts = [_count(self.cpus, "CPU")]
        if self.gpus:
            parts.append(_count(self.gpus, "GPU"))
        if self.memory_bytes:
            parts.append(_count(self.memory_bytes // MIB, "MB of memory"))
        each = " and ".join(parts)
        return each if self.workers == 1 else f"{self.workers} workers with {each} each"


@dataclass(frozen=True)
class Room:
    """What a node has, or has left."""

    cpus: float
    gpus: float = 0
    memory_bytes: float = 0

    @classmethod
    def of(cls, resources: dict[str, float]) -> Self:
        """From Ray's names."""
        return cls(resources.get("CPU", 0), resources.get("GPU", 0), resources.get("memory", 0))

    def holds(self, demand: Demand) -> bool:
        """Whether the demand fits."""
        return self.cpus >= demand.cpus and self.gpus >= demand.gpus and self.memory_bytes >= demand.memory_bytes

    def less(self, demand: Demand) -> Room:
        """What is left beside the demand."""
        return replace(
            self,
            cpus=self.cpus - demand.cpus,
            gpus=self.gpus - demand.gpus,
            memory_bytes=self.memory_bytes - demand.memory_bytes,
        )


def place(rooms: list[Room], demand: Demand) -> bool:
    """Puts each worker on the first node that holds it, and takes that room away; or none where one is left over."""
    left = list(rooms)
    for _ in range(demand.workers):
        index = next((index for index, room in enumerate(left) if room.holds(demand)), None)
        if index is None:
            return False
        left[index] = left[index].less(demand)
    rooms[:] = left
    return True


@dataclass(frozen=True)
class Capacity:
    """The cluster as it is, and as its autoscaler may make it."""

    nodes: tuple[Room, ...]
    """All of each living node."""
    free: tuple[Room, ...]
    """What Ray says is unused on each living node; a moment late."""
    node_types: tuple[Room, ...] | None = ()
    """Nodes that the autoscaler can start; empty without an autoscaler, None where nothing is known of it."""
    dead: frozenset[str] = frozenset()
    """Ids of nodes that were there and are given up."""

    @property
    def cpus(self) -> float:
        """CPUs of all living nodes."""
        return sum(node.cpus for node in self.nodes)

    def can_ever_hold(self, demand: Demand) -> bool:
        """Whether the nodes, living or startable, are large enough; True where that cannot be known.

        An autoscaler is taken to start as many nodes of a type as there are workers.
        """
        if not self.nodes or self.node_types is None:
            return True
        startable = [room for room in self.node_types if room.holds(demand)]
        return bool(startable) or place(list(self.nodes), demand)

    def why_waiting(self, demand: Demand) -> str:
        """For people: "waiting for 4 CPUs; 2 of 8 free"."""
        if not self.can_ever_hold(demand):
            return f"waiting for a larger node: the job {_shortfall(self, demand)[1]}"
        free = [f"{sum(room.cpus for room in self.free):g} of {self.cpus:g} CPUs free"]
        if demand.gpus:
            total = sum(room.gpus for room in self.nodes)
            free.append(f"{sum(room.gpus for room in self.free):g} of {total:g} GPUs free")
        return f"waiting for {demand}; {', '.join(free)}"


def check_schedulable(capacity: Capacity, demand: Demand) -> None:
    """Refuses what can never run.

    Raises:
        ResourceError: no node has, and the autoscaler can start none that has, what one worker asks for.
    """
    if capacity.can_ever_hold(demand):
        return
    kind, message = _shortfall(capacity, demand)
    raise ResourceError.at(
        f"resources.{kind.field}",
        kind.amount(demand),
        message,
        hint="ask for less, or add a larger node to the cluster",
    )


@dataclass(frozen=True)
class _Kind:
    """A kind of resource: its field in the spec, its attribute here, how many there are in one of the spec's units."""

    field: str
    attribute: str
    unit: str
    scale: int = 1

    def amount(self, holder: Demand | Room) -> float:
        return float(getattr(holder, self.attribute)) / self.scale

    def largest(self, rooms: tuple[Room, ...]) -> float:
        return max((self.amount(room) for room in rooms), default=0.0)


_KINDS = (
    _Kind("cpus_per_worker", "cpus", "CPU"),
    _Kind("gpus_per_worker", "gpus", "GPU"),
    _Kind("memory_mb", "memory_bytes", "MB of memory", MIB),
)

_WORKERS = _Kind("num_workers", "workers", "worker")


def _shortfall(capacity: Capacity, demand: Demand) -> tuple[_Kind, str]:
    """The resource at fault, and the sentence without its subject."""
    for kind in _KINDS:
        node, startable = kind.largest(capacity.nodes), kind.largest(capacity.node_types or ())
        if kind.amount(demand) > max(node, startable):
            autoscaler = f" and the autoscaler's largest type {startable:.0f}" if capacity.node_types else ""
            asked = _count(kind.amount(demand), kind.unit)
            return kind, f"asks for {asked} on one node; the largest node has {node:.0f}{autoscaler}"
    if demand.workers > 1:
        held = next(count for count in range(demand.workers - 1, -1, -1)
                    if place(list(capacity.nodes), replace(demand, workers=count)))  # fmt: skip
        return _WORKERS, f"asks for {demand}; the cluster has room for {held}"
    return _KINDS[0], f"asks for {demand} on one node; no node has them together"


def _count(number: float, unit: str) -> str:
    plural = "s" if unit.endswith("PU") and number != 1 else ""
    return f"{number:.10g} {unit}{plural}"
