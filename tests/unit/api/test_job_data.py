"""What a job's data look like, and jobs that are done again."""

from __future__ import annotations

from typing import Any

import pytest

from ray_app.jobs.model import Job
from training.events import SilentObserver
from training.pipeline import reproduce, run
from training.spec import ReproduceSpec, TrainSpec, parse_spec


@pytest.fixture
def trained(api: Any, spec: dict[str, Any]) -> Job:
    """A job that has run."""
    job_id = api.post("/api/v1/train", json=spec).json()["id"]
    workplace = api.app.state.services.train._workplace
    api.store.assign_attempt(job_id)
    api.store.started(job_id, 1)
    result = run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id=job_id)
    api.store.succeed(job_id, 1, result.model_dump(mode="json"))
    found: Job = api.store.get(job_id)
    return found


def test_the_report_is_read_as_json_and_as_a_page(api: Any, trained: Job) -> None:
    report = api.get(f"/api/v1/jobs/{trained.id}/data").json()
    assert report["rows"] == 80
    assert [column["name"] for column in report["columns"]] == ["x", "k", "y"]
    assert report["sha256"] == trained.result["data"]["sha256"]

    shown = api.get(f"/api/v1/jobs/{trained.id}/data", headers={"Accept": "text/html,*/*"})
    assert shown.headers["content-type"].startswith("text/html")
    assert trained.id in shown.text


def test_a_job_that_has_not_run_has_no_report(api: Any, spec: dict[str, Any]) -> None:
    job_id = api.post("/api/v1/train", json=spec).json()["id"]
    assert api.get(f"/api/v1/jobs/{job_id}/data").status_code == 404
    assert api.get("/api/v1/jobs/job_nope/data").status_code == 404
    again = api.post(f"/api/v1/jobs/{job_id}/reproduce")
    assert again.status_code == 409
    assert "has succeeded" in again.json()["detail"]


def test_a_job_is_done_again(api: Any, trained: Job) -> None:
    answer = api.post(f"/api/v1/jobs/{trained.id}/reproduce", headers={"Idempotency-Key": "once"})
    assert answer.status_code == 202
    job = answer.json()
    assert job["kind"] == "reproduce"
    spec = parse_spec(ReproduceSpec, job["spec"])
    found = reproduce(spec, api.app.state.services.train._workplace, SilentObserver(), job_id=job["id"])
    assert found.identical
    assert found.metrics["roc_auc"].difference == 0.0
    once = api.post(f"/api/v1/jobs/{trained.id}/reproduce", headers={"Idempotency-Key": "once"})
    assert once.json()["id"] == job["id"]


def test_a_job_whose_snapshot_is_gone_cannot_be_done_again(api: Any, trained: Job) -> None:
    api.app.state.services.train._workplace.snapshots.remove(trained.result["data"]["sha256"])
    answer = api.post(f"/api/v1/jobs/{trained.id}/reproduce")
    assert answer.status_code == 404
    assert "no snapshot" in answer.json()["detail"]
