"""A real Ray cluster of a test's own, with a dispatcher whose jobs are scripted."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from ray_app.dispatcher import connect
from ray_app.dispatcher.client import NAME, NAMESPACE
from ray_app.jobs.model import Job
from ray_app.jobs.port import Jobs
from ray_app.settings import Settings

T = TypeVar("T")
RUNNER = "scripted_runner:ScriptedRunner"
NUM_CPUS = 2
LIMIT_S = 120.0


@contextmanager
def cluster_environment() -> Iterator[str]:
    """What a cluster reads when it starts; the path of a folder for its files, short enough for sockets."""
    # the first cluster and the next give their actors the same ids: a handle of the last one that is let go now would
    # end an actor of the new one
    gc.collect()
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory(prefix="mts-ray-") as folder:
        # workers import the scripted runner
        environment.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        # Ray notes the address of a cluster here too, in a folder that it expects to find
        environment.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_worker_niceness", "0")
        yield folder


@contextmanager
def local_cluster() -> Iterator[None]:
    """Starts Ray with two CPUs, and ends it."""
    with cluster_environment() as folder:
        ray.init(num_cpus=NUM_CPUS, namespace="tests", include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def head_alone(ip: str) -> Iterator[Cluster]:
    """Starts a head that has no CPUs and listens on the address, and connects to it; ends all nodes."""
    with cluster_environment() as folder:
        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, "node_ip_address": ip}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            ray.init(address=made.address, namespace="tests", log_to_driver=False)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


@contextmanager
def worker_nodes(cluster: Cluster, *cpus: int) -> Iterator[None]:
    """Nodes with so many CPUs each, beside the head; whatever nodes there are then go away with them.

    Ray has noticed it when the context ends: the next test is not to count on a node that is dead.
    """
    for number in cpus:
        add_node(cluster, number)
    yield
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node, allow_graceful=False)
    until_alive(1)


def until_alive(nodes: int) -> None:
    """Waits until so many nodes are there; nothing tells when one comes or goes."""
    deadline = time.monotonic() + LIMIT_S
    while sum(node["Alive"] for node in ray.nodes()) != nodes:
        assert time.monotonic() < deadline, ray.nodes()
        time.sleep(0.1)


def add_node(cluster: Cluster, cpus: int) -> None:
    """One more, on this machine; returns when it is there."""
    cluster.add_node(num_cpus=cpus, node_ip_address=cluster.head_node.node_ip_address)


@dataclass
class Service:
    """A dispatcher with a store of its own, on the cluster of the test."""

    settings: Settings
    folder: Path
    """Where jobs mark how far they are."""
    jobs: Jobs
    loop: asyncio.AbstractEventLoop
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Waits for a call."""
        return self.loop.run_until_complete(asyncio.wait_for(call, LIMIT_S))

    def submit(self, *script: str, **spec: Any) -> Job:
        """A job that runs the script."""
        name = f"job-{next(self.numbers)}"
        full = {"name": name, "script": list(script), "folder": str(self.folder), "max_retries": 2, **spec}
        job, _ = self.do(self.jobs.submit("train", full))
        return job

    def final(self, job: Job) -> Job:
        """The job when it is over."""
        found = self.do(self.jobs.get(job.id, wait_s=LIMIT_S))
        assert found.status.final, found
        return found

    def marked(self, name: str) -> int:
        """Waits until a job has marked `name`; the id of its process."""

        self.appears(self.folder / name)
        return int((self.folder / name).read_text())

    def appears(self, file: Path) -> None:
        """Waits for a file."""

        async def look() -> None:
            while not file.exists():  # noqa: ASYNC110, ASYNC240  what ends it is in another process
                await asyncio.sleep(0.01)

        self.do(look())

    def ends(self, pid: int) -> None:
        """Waits for the end of a process."""

        async def look() -> None:
            while alive(pid):  # noqa: ASYNC110  nothing tells the end of another's child
                await asyncio.sleep(0.01)

        self.do(look())

    def mark(self, name: str) -> None:
        """What a job waits for."""
        (self.folder / name).touch()

    def statuses(self, job: Job) -> list[str]:
        """The states that the job went through."""
        return [event.data["status"] for event in self.do(self.jobs.events(job.id)) if event.type == "state"]

    def log(self, job: Job) -> str:
        """All of its log."""
        return self.do(self.jobs.log(job.id)).text


@contextmanager
def running_service(home: Path) -> Iterator[Service]:
    """Starts a dispatcher, and ends it."""
    loop = asyncio.new_event_loop()
    try:
        settings = Settings(home=home, data_roots=(str(home),))
        yield Service(settings, home, connect(settings, runner=RUNNER), loop)
    finally:
        ray.kill(ray.get_actor(NAME, namespace=NAMESPACE))
        loop.close()


def dispatcher_pid() -> int:
    """The process of the dispatcher."""
    [found] = [pid for pid, line in _command_lines() if "DispatcherActor" in line]
    return found


def _command_lines() -> Iterator[tuple[int, str]]:
    for process in psutil.Process().children(recursive=True):
        # one that has ended since it was listed is not the one that is looked for
        with suppress(psutil.NoSuchProcess):
            yield process.pid, " ".join(process.cmdline())


def alive(pid: int) -> bool:
    """Whether the process is there and not just waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
