"""A Ray cluster with a dispatcher for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dispatcher_cluster import Service, local_cluster, running_service


@pytest.fixture(scope="module")
def dispatcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two CPUs and a dispatcher, for the module."""
    with local_cluster(), running_service(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def service(dispatcher: Service, tmp_path: Path) -> Service:
    """The dispatcher, with a folder of the test's own for what its jobs mark."""
    return replace(dispatcher, folder=tmp_path)
