"""A cloud takes a node back: it says so some time before, and then the node is gone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dispatcher_cluster import Service, add_node, worker_nodes
from ray._private.node import Node
from ray._private.ray_constants import PROCESS_TYPE_RAYLET
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2
from spread_fits import LONG_BOOSTING, LONG_NETWORK, Watcher, all_is_free, fit_until_enough, has_checkpoint

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

OFTEN_S = 1.0
"""Between checkpoints."""
BOOSTING = pytest.mark.parametrize("engine", ["xgboost_ray", "ray_train"])


@pytest.fixture
def cluster(head: Cluster, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes with one CPU each, or what the test says; for each test anew."""
    # Ray Train looks for notices this often
    monkeypatch.setenv("RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "0.5")
    with worker_nodes(head, *getattr(request, "param", (1, 1))):
        yield head


def give_notice(cluster: Cluster, node: Node, within_s: float) -> None:
    """Tells Ray what a cloud tells the node: it goes when the time is over."""
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline_ms = int((time.time() + within_s) * 1000)
    accepted, refusal = GcsClient(address=cluster.address).drain_node(node.node_id, reason, "taken back", deadline_ms)
    assert accepted, refusal


def node_of(cluster: Cluster, pid: int) -> Node:
    """Where a worker process runs."""
    raylet = psutil.Process(pid).ppid()
    [found] = [
        node for node in cluster.worker_nodes if node.all_processes[PROCESS_TYPE_RAYLET][0].process.pid == raylet
    ]
    return found


@pytest.mark.parametrize("cluster", [(2,)], indirect=True)
def test_a_job_goes_on_elsewhere_and_none_begins_where_the_end_is_near(cluster: Cluster, service: Service) -> None:
    job = service.submit("once mark begun", "once hold never", max_retries=0)
    going = node_of(cluster, service.marked("begun"))
    give_notice(cluster, going, within_s=3600)
    later = service.submit("mark later", "hold end")
    add_node(cluster, 2)
    assert node_of(cluster, service.marked("later")) != going, "where a CPU is still free"
    cluster.remove_node(going, allow_graceful=False)
    service.mark("end")
    done = service.final(job)
    assert (done.status, done.attempt) == ("SUCCEEDED", 2)
    assert "the node that did the job went away" in service.log(job)
    assert (service.final(later).status, service.final(later).attempt) == ("SUCCEEDED", 1)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the fit says."""
    with caplog.at_level(logging.INFO, logger="training"):
        yield caplog


@BOOSTING
def test_a_fit_goes_on_from_its_last_checkpoint_when_the_node_is_gone(
    engine: str, cluster: Cluster, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    def take_back() -> None:
        going = cluster.worker_nodes.copy().pop()
        give_notice(cluster, going, within_s=3600)
        add_node(cluster, 1)
        cluster.remove_node(going, allow_graceful=False)

    heard = Watcher(act=take_back, ready=lambda: has_checkpoint(tmp_path), until_restarted=True)
    fit_until_enough(engine, LONG_BOOSTING, tmp_path, heard, max_restarts=0, checkpoint_every_s=OFTEN_S)
    assert "was lost with its node" in log.text
    assert "(restart 1 of 10)" in log.text
    assert all_is_free(within_s=20)


def test_a_fit_of_ray_train_leaves_the_node_in_time(
    cluster: Cluster, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """Also where the node is still there when its time is over: Ray keeps the room there, and starts nothing in it."""

    def announce() -> None:
        give_notice(cluster, cluster.worker_nodes.copy().pop(), within_s=1)
        add_node(cluster, 1)

    heard = Watcher(act=announce, ready=lambda: has_checkpoint(tmp_path), until_restarted=True)
    fit_until_enough("ray_train", LONG_BOOSTING, tmp_path, heard, max_restarts=0, checkpoint_every_s=OFTEN_S)
    assert "was lost with its node: the cloud takes the node back" in log.text
    assert "(restart 1 of 10)" in log.text
    assert all_is_free(within_s=20)


def test_a_notice_is_reason_for_a_checkpoint_that_is_not_due_yet(
    cluster: Cluster, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    def announce() -> None:
        give_notice(cluster, cluster.worker_nodes.copy().pop(), within_s=15)
        add_node(cluster, 1)

    heard = Watcher(act=announce, until_restarted=True)
    fit_until_enough("ray_train", LONG_NETWORK, tmp_path, heard, checkpoint_every_s=3600.0)
    assert "(restart 1 of 10)" in log.text
    assert all_is_free(within_s=20)


class BringsNode(Watcher):
    """Adds a node when it hears that the fit waits for room."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(act=self._lose, ready=lambda: has_checkpoint(folder), until_restarted=True)
        self._cluster = cluster
        self.told = ""

    def _lose(self) -> None:
        self._cluster.remove_node(self._cluster.worker_nodes.copy().pop(), allow_graceful=False)

    def waiting(self, message: str) -> None:
        if self.acted_at and not self.told and message.startswith("waiting for"):
            self.told = message
            add_node(self._cluster, 1)


@pytest.fixture
def impatient_ray_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train itself waits a minute, which is less than a cloud takes; here less than this machine."""
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.5")


@pytest.mark.usefixtures("impatient_ray_train")
@BOOSTING
def test_a_fit_waits_for_a_node_as_long_as_it_takes_and_says_so(
    engine: str, cluster: Cluster, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    heard = BringsNode(cluster, tmp_path)
    fit_until_enough(engine, LONG_BOOSTING, tmp_path, heard, max_restarts=0, checkpoint_every_s=OFTEN_S)
    assert heard.told == "waiting for 2 workers with 1 CPU each"
    assert "(restart 1 of 10)" in log.text
    assert "(restart 2 of 10)" not in log.text
    assert all_is_free(within_s=20)
