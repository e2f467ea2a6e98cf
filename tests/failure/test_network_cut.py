"""The network to a node is cut under a job: another node does it, and the ghost of the first changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cut_node import Cable, CutNode
from dispatcher_cluster import Service, add_node, running_service, until_alive, worker_nodes
from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def cluster(head: Cluster) -> Iterator[Cluster]:
    """None but the head; what the test adds goes with it."""
    with worker_nodes(head):
        yield head


@pytest.fixture
def node(line: Cable, cluster: Cluster) -> Iterator[CutNode]:
    made = CutNode(line, cluster.address, num_cpus=1)
    try:
        until_alive(2)
        yield made
    finally:
        made.end()


@pytest.fixture
def service(node: CutNode, tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path) as running:
        yield running


def test_a_job_behind_a_cut_goes_on_elsewhere_and_its_ghost_is_fenced_out(
    cluster: Cluster, node: CutNode, service: Service
) -> None:
    job = service.submit("once mark begun", "once hold mended", "once mark ghost", max_retries=0)
    ghost = service.marked("begun")
    node.cut()
    add_node(cluster, 1)
    done = service.final(job)
    assert (done.status, done.attempt) == ("SUCCEEDED", 2)
    assert "the node that did the job went away" in service.log(job)

    node.mend()
    service.mark("mended")
    service.ends(ghost)
    assert service.do(service.jobs.get(job.id)) == done
    assert service.statuses(job) == ["PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED"]
    after = service.final(service.submit())
    assert after.status == "SUCCEEDED"
