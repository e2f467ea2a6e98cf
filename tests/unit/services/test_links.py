"""A job says where else it can be looked at, and the address shows no password."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ray_app.jobs.model import Job, JobStatus
from ray_app.jobs.port import Jobs
from ray_app.services.links import LinkedJobs
from ray_app.settings import Settings


class OneJob:
    """Answers one finished job; the real port needs Ray."""

    async def get(self, job_id: str, *, wait_s: float = 0) -> Job:
        return Job(
            id=job_id, kind="train", name="m", status=JobStatus.SUCCEEDED, spec={}, created_at=datetime.now(UTC),
            result={"run_id": "abc"},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "mlflow", "ray"),
    [
        ({}, "http://127.0.0.1:5000/#/runs/abc", "http://127.0.0.1:8265"),
        ({"mlflow_port": 5001, "dashboard_port": 0}, "http://127.0.0.1:5001/#/runs/abc", None),
        ({"mlflow_tracking_uri": "https://user:secret@mlflow:8443/"}, "https://mlflow:8443/#/runs/abc", "http://127.0.0.1:8265"),
    ],
)  # fmt: skip
def test_links(settings: dict[str, Any], mlflow: str, ray: str | None) -> None:
    jobs = LinkedJobs(cast("Jobs", OneJob()), Settings(**settings))
    links = asyncio.run(jobs.get("job_1")).links

    assert links["mlflow"] == mlflow
    assert links.get("ray") == ray
