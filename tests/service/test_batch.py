"""The same spec gives the same model over HTTP and as a batch on the cluster."""

from __future__ import annotations

import subprocess

import pytest
from whole_service import ROOT, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

BATCH = "ray job submit --working-dir . -- python -m training run examples/german_credit.yaml"


def test_ray_job_submit_gives_the_version_that_http_gives(whole: WholeService) -> None:
    by_http = whole.finished(whole.submit()["id"])["result"]
    command = f"{whole.mts('env').stdout}\n{BATCH}"
    answer = subprocess.run(
        ["bash", "-euc", command], cwd=ROOT, env=whole.environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr

    versions = whole.http.get("/api/v1/models/german-credit").raise_for_status().json()["versions"]
    by_batch = max(versions, key=lambda version: int(version["version"]))

    assert by_batch["job_id"].startswith("batch_")
    assert by_batch["metrics"] == by_http["metrics"]
    assert by_batch["data_sha256"] == by_http["data"]["sha256"]
