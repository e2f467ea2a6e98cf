"""A node goes away under a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from dispatcher_cluster import Service, cluster_environment, running_service
from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without CPUs, and a node with two."""
    with cluster_environment() as folder:
        made = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
        )
        made.add_node(num_cpus=2)
        try:
            ray.init(address=made.address, namespace="tests", log_to_driver=False)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path) as running:
        yield running


def test_a_job_goes_on_another_node_and_the_loss_is_not_counted_against_it(cluster: Cluster, service: Service) -> None:
    job = service.submit("once mark begun", "once hold never", max_retries=0)
    service.marked("begun")
    [lost] = cluster.worker_nodes
    cluster.remove_node(lost, allow_graceful=False)
    cluster.add_node(num_cpus=2)
    done = service.final(job)
    assert (done.status, done.attempt) == ("SUCCEEDED", 2)
    assert "the node that did the job went away" in service.log(job)


def test_a_busy_process_on_another_node_is_killed(cluster: Cluster, service: Service) -> None:
    job = service.submit("mark begun", "native")
    pid = service.marked("begun")
    service.do(service.jobs.cancel(job.id))
    assert service.final(job).status == "CANCELLED"
    service.ends(pid)
