"""One fit with two workers, over HTTP, on the whole service."""

from __future__ import annotations

import time

import pytest
from whole_service import SLOW_MODEL, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

TWO = {"num_workers": 2}
PLAIN = {"family": "xgboost", "params": {"n_estimators": 40, "subsample": 1.0, "colsample_bytree": 1.0}}
WORKERS = ("ray::_RemoteRayXGBoostActor", "ray::Box", "ray::train:")


def test_two_workers_register_the_model_that_one_would(whole: WholeService) -> None:
    jobs = [whole.finished(whole.submit(name="spread", model=PLAIN, **more)["id"]) for more in ({}, {"resources": TWO})]
    assert [job["status"] for job in jobs] == ["SUCCEEDED"] * 2, jobs
    one, two = (job["result"] for job in jobs)
    assert two["model"]["version"] == str(int(one["model"]["version"]) + 1)
    for name, metric in one["metrics"].items():
        assert two["metrics"][name]["value"] == pytest.approx(metric["value"], abs=0.01)


def test_the_plan_says_which_engine_fits(whole: WholeService) -> None:
    plan = whole.http.post("/api/v1/train", params={"dry_run": True}, json={
        "name": "spread", "resources": TWO, "model": {"family": "torch"},
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
    })  # fmt: skip
    assert plan.json()["engine"] == "ray_train"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"resources": {"num_workers": 500}}, "resources.num_workers", "room for"),
        ({"resources": {"num_workers": 2, "gpus_per_worker": 8}}, "resources.gpus_per_worker", "8 GPUs on one node"),
        ({"resources": TWO, "model": {"family": "sklearn"}}, "resources.num_workers", "cpus_per_worker instead"),
        ({"resources": {"engine": "xgboost_ray"}, "model": {"family": "torch"}}, "resources.engine", "cannot spread"),
    ],
)
def test_what_cannot_work_never_becomes_a_job(
    whole: WholeService, changes: dict[str, object], field: str, message: str
) -> None:
    spec = {
        "name": "spread",
        "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
    }
    answer = whole.http.post("/api/v1/train", json=spec | changes)
    assert answer.status_code == 422, answer.text
    [problem] = answer.json()["errors"]
    assert problem["field"] == field
    assert message in problem["message"]


def test_a_cancelled_job_frees_its_workers(whole: WholeService) -> None:
    job = whole.submit(name="spread", model=SLOW_MODEL, resources=TWO)
    while not whole.job(job["id"])["progress"]["metrics"]:
        assert not whole.job(job["id"])["finished_at"]
        time.sleep(0.1)
    assert whole.processes(WORKERS[0])
    whole.http.post(f"/api/v1/jobs/{job['id']}/cancel").raise_for_status()
    assert whole.finished(job["id"])["status"] == "CANCELLED"
    deadline = time.monotonic() + 20
    while any(whole.processes(title) for title in WORKERS):
        assert time.monotonic() < deadline, "workers are left"
        time.sleep(0.1)
    # there is room for another
    assert whole.finished(whole.submit(name="spread", model=PLAIN)["id"])["status"] == "SUCCEEDED"
