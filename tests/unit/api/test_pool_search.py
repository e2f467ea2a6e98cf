"""A pool whose trainings are searches, on a real cluster."""

from __future__ import annotations

from typing import Any

import pytest
from dispatcher_cluster import local_cluster

from tests.unit.api.pools import Pooled, pool_spec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_retraining_begins_with_the_best_configurations_of_the_last_search(api: Any) -> None:
    tune = {"num_trials": 4, "searcher": "random"}
    with local_cluster():
        pool = Pooled.made(api, pool_spec("searched", initial_size=40, tune=tune))
        pool.train_once()
        pool.work(10)
        assert "train" in pool.run_jobs()
    second, first = (job for job in api.get("/api/v1/jobs").json()["items"] if job["kind"] == "train")
    trials = api.get(f"/api/v1/jobs/{first['id']}/trials").json()["items"]
    begun = second["result"]["study"]["started_from"]
    assert first["result"]["study"]["started_from"] == []
    assert begun
    assert all(params in [trial["params"] for trial in trials] for params in begun)
    assert second["result"]["gate"]["champion"] == {"version": "1"}
