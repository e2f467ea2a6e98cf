"""What Ray says of its nodes and processes, in part by calls that are not public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._private import state as ray_state
from ray.core.generated import gcs_pb2

from ray_app.dispatcher.capacity import Capacity, Room

# these carry no annotations
_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
_free_by_node: Callable[[], Mapping[str, dict[str, float]]] = ray_state.available_resources_per_node
_going: Callable[[], Mapping[str, int]] = ray_state.state.get_draining_nodes


def read_capacity(node_types: tuple[Room, ...] | None) -> Capacity:
    """Asks Ray's control store for the living nodes and what is free on them."""
    known = _nodes()
    alive = {node["NodeID"]: node["Resources"] for node in known if node["Alive"]}
    free = _free_by_node()
    return Capacity(
        nodes=tuple(Room.of(resources) for resources in alive.values()),
        free=tuple(Room.of(free[node_id]) for node_id in alive if node_id in free),
        node_types=node_types,
        dead=frozenset(node["NodeID"] for node in known if not node["Alive"]),
    )


def idle_cpus() -> dict[str, int]:
    """Free whole CPUs of each living node, by its id. Ray starts nothing on one that is to go."""
    free, going = _free_by_node(), _going()
    return {node_id: int(free.get(node_id, {}).get("CPU", 0)) for node_id in _alive() if node_id not in going}


def worker_exit_detail(worker_id: str) -> str:
    """Ray's account of how a worker process ended; "" while it has none. There is no public call for it."""
    accessor = ray_state.state._connect_and_get_accessor()
    record: Any = accessor.get_worker_info(ray.WorkerID.from_hex(worker_id))
    if record is None:
        return ""
    # generated code, which mypy does not see into
    worker = gcs_pb2.WorkerTableData.FromString(record)  # type: ignore[attr-defined]
    return "" if worker.is_alive else str(worker.exit_detail)


def _alive() -> dict[str, dict[str, float]]:
    """Resources of each living node, by its id."""
    return {node["NodeID"]: node["Resources"] for node in _nodes() if node["Alive"]}
