"""A node goes away under a job."""

from __future__ import annotations

import pytest
from dispatcher_cluster import Service, add_node
from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_job_goes_on_another_node_and_the_loss_is_not_counted_against_it(cluster: Cluster, service: Service) -> None:
    job = service.submit("once mark begun", "once hold never", max_retries=0)
    service.marked("begun")
    [lost] = cluster.worker_nodes
    cluster.remove_node(lost, allow_graceful=False)
    add_node(cluster, 2)
    done = service.final(job)
    assert (done.status, done.attempt) == ("SUCCEEDED", 2)
    assert "the node that did the job went away" in service.log(job)


def test_a_busy_process_on_another_node_is_killed(service: Service) -> None:
    job = service.submit("mark begun", "native")
    pid = service.marked("begun")
    service.do(service.jobs.cancel(job.id))
    assert service.final(job).status == "CANCELLED"
    service.ends(pid)
