"""What the autoscaler could start, found where its monitor finds it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ray_app.dispatcher import autoscaler
from ray_app.dispatcher.autoscaler import node_types
from ray_app.dispatcher.capacity import Room

CONFIG = """
available_node_types:
  head: {resources: {CPU: 2}, max_workers: 0}
  large: {resources: {CPU: 16, memory: 1000}, max_workers: 3}
  gpu: {resources: {GPU: 1}}
"""
ADDRESS = "192.0.2.1:1"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no Ray here to ask; the open-source autoscaler would have told it nothing."""
    monkeypatch.setattr(autoscaler.ray_state.state, "get_cluster_config", lambda: None)


@contextmanager
def monitor(*arguments: str) -> Iterator[None]:
    """A process with the command line of Ray's monitor."""
    wait = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    command = [*wait, "/ray/autoscaler/_private/monitor.py", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


def test_the_types_that_can_be_started(tmp_path: Path) -> None:
    file = tmp_path / "bootstrap.yaml"
    file.write_text(CONFIG)
    with monitor(f"--gcs-address={ADDRESS}", f"--autoscaling-config={file}"):
        assert node_types(ADDRESS) == (Room(16, 0, 1000), Room(math.inf, 1, math.inf))
        file.write_text("available_node_types: {}")
        assert node_types(ADDRESS) == ()


def test_a_monitor_without_a_configuration_starts_nothing() -> None:
    with monitor(f"--gcs-address={ADDRESS}"):
        assert node_types(ADDRESS) == ()


def test_without_a_monitor_nothing_is_known() -> None:
    with monitor("--gcs-address=192.0.2.9:9"):
        assert node_types(ADDRESS) is None


@pytest.mark.parametrize("content", [None, "{"])
def test_a_configuration_that_cannot_be_read_is_not_known(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "bootstrap.yaml"
    if content:
        file.write_text(content)
    with monitor(f"--gcs-address={ADDRESS}", f"--autoscaling-config={file}"):
        assert node_types(ADDRESS) is None
