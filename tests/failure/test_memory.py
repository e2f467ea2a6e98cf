"""A node has too little memory: Ray ends workers there, and the job says why and what helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dispatcher_cluster import Service, worker_nodes
from ray.cluster_utils import Cluster
from spread_fits import LONG_BOOSTING, all_is_free, fit_data, spread_fit

from training.errors import WorkerLostError

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ALWAYS_FULL = "0.01"
"""Share of its node's memory that Ray leaves to workers: less than any machine has in use."""


@pytest.fixture(scope="module")
def cluster(head: Cluster) -> Iterator[Cluster]:
    """One node with two CPUs, on which Ray's own monitor finds the memory full as soon as something runs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_memory_usage_threshold", ALWAYS_FULL)
        with worker_nodes(head, 2):
            yield head


def test_a_job_that_its_node_has_no_memory_for_says_so(service: Service) -> None:
    job = service.final(service.submit("hold never", max_retries=1))
    assert (job.status, job.attempt) == ("FAILED", 2)
    assert job.error is not None
    assert job.error.type == "OutOfMemoryError"
    assert job.error.message == "the job needed more memory than its node had; gave up after 1 retry"
    assert "resources.memory_mb" in job.error.hint


@pytest.mark.parametrize("engine", ["xgboost_ray", "ray_train"])
def test_a_fit_whose_workers_have_no_memory_says_so(engine: str, cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match=r"worker \d.* died: its node ran out of memory; gave up after 1") as lost:
        spread_fit(engine, LONG_BOOSTING, fit_data("binary"), tmp_path, max_restarts=1)
    assert "resources.memory_mb" in lost.value.hint
    assert all_is_free(within_s=20)
