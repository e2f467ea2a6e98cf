"""A Ray cluster and a dispatcher that a test may break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dispatcher_cluster import Service, local_cluster, running_service


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Two CPUs, for the module."""
    with local_cluster():
        yield


@pytest.fixture
def service(ray_cluster: None, tmp_path: Path) -> Iterator[Service]:
    """A dispatcher of the test's own."""
    with running_service(tmp_path) as running:
        yield running
