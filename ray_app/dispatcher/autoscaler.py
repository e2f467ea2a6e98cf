"""Which nodes the cluster's autoscaler could start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import yaml
from ray._private import state as ray_state

from ray_app.dispatcher.capacity import Room

CONFIG_ARGUMENT = "--autoscaling-config="
MONITOR = "/monitor.py"


def node_types(gcs_address: str) -> tuple[Room, ...] | None:
    """The node types of the autoscaler; () where there is none, None where nothing is known of it.

    Ray has no call for it, and its open-source autoscaler tells the control store nothing of its types. So we read what
    it reads itself: this runs on the head node, where the monitor's arguments name the file. On Kubernetes the monitor
    is in another container, and its types are the operator's.

    Args:
        gcs_address: of this cluster's control store; several clusters may share a machine.
    """
    told = ray_state.state.get_cluster_config()
    if told is not None and told.node_group_configs:
        groups = told.node_group_configs
        return tuple(_room(dict(group.resources)) for group in groups if group.max_count != 0)
    monitor = _monitor_arguments(gcs_address)
    if monitor is None:
        return None
    paths = [argument.removeprefix(CONFIG_ARGUMENT) for argument in monitor if argument.startswith(CONFIG_ARGUMENT)]
    return _types_in(paths[0]) if paths else ()


def _types_in(path: str) -> tuple[Room, ...] | None:
    file = Path(path).expanduser()
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except (OSError, yaml.YAMLError):
        # the file belongs to the autoscaler, which complains of it; to us its types are unknown
        return None


@lru_cache(maxsize=4)
def _parsed(file: Path, _changed_ns: int) -> tuple[Room, ...]:
    config: dict[str, Any] = yaml.safe_load(file.read_text())
    types = config.get("available_node_types", {}).values()
    return tuple(_room(kind.get("resources", {})) for kind in types if kind.get("max_workers") != 0)


def _room(resources: dict[str, float]) -> Room:
    """A type need not say its CPUs and memory: Ray finds them out on the machine; until then it may hold anything."""
    unknown = {"CPU": math.inf, "memory": math.inf}
    return Room.of(unknown | resources)


def _monitor_arguments(gcs_address: str) -> list[str] | None:
    """The command of this cluster's monitor; it runs without an autoscaler too, and then names no file."""
    for command in _commands():
        if any(part.endswith(MONITOR) for part in command) and f"--gcs-address={gcs_address}" in command:
            return command
    return None


def _commands() -> Iterator[list[str]]:
    for process in psutil.process_iter(["cmdline"]):
        yield process.info["cmdline"] or []
