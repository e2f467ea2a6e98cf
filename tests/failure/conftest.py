"""One Ray cluster whose nodes tests may lose, and dispatchers on it that they may break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cut_node import Cable, cable
from dispatcher_cluster import Service, head_alone, running_service, worker_nodes
from ray.cluster_utils import Cluster

SILENT_NODE = {"period_ms": 500, "timeout_ms": 1500, "failure_threshold": 3, "initial_delay_ms": 0}
"""Ray's health checks, such that a node that says nothing is given up after some 6 s, not 20."""


@pytest.fixture(scope="session")
def line() -> Iterator[Cable]:
    """Between the head and a node that can be cut off."""
    with cable() as laid:
        yield laid


@pytest.fixture(scope="session")
def head(line: Cable) -> Iterator[Cluster]:
    """A head without CPUs, for all files; each adds the nodes that it wants."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SILENT_NODE.items():
            environment.setenv(f"RAY_health_check_{name}", str(value))
        with head_alone(line.head_ip) as made:
            yield made


@pytest.fixture(scope="module")
def cluster(head: Cluster) -> Iterator[Cluster]:
    """With one node of two CPUs; a file that needs others says so."""
    with worker_nodes(head, 2):
        yield head


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[Service]:
    """A dispatcher of the test's own."""
    with running_service(tmp_path) as running:
        yield running
