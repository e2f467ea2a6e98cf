"""Train, evaluate, gate and promote as a Kubeflow pipeline (KFP v2), over the service's HTTP API.

`python deploy/kubeflow/pipeline.py` writes pipeline.yaml beside this file. A component's code is copied into the
pipeline, so each holds all that it needs. The API key, where the service asks for one, is read from the environment
variable MTS_API_KEY: give it to the tasks with `kfp.kubernetes.use_secret_as_env`
(package kfp-kubernetes).
"""

# no `from __future__ import annotations` here: KFP reads the annotations of the components

from pathlib import Path
from typing import Any, NamedTuple

from kfp import compiler, dsl

BASE_IMAGE = "python:3.11-slim"
PACKAGES = ["httpx==0.28.1"]
TARGET = Path(__file__).with_name("pipeline.yaml")


@dsl.component(base_image=BASE_IMAGE, packages_to_install=PACKAGES)
def train(service_url: str, spec: dict, idempotency_key: str) -> NamedTuple(
    "Trained", [("job_id", str), ("version", str)]
):
    """Trains by a spec of POST /api/v1/train and waits; a repeated task with the same key finds the same job."""
    import os
    from collections import namedtuple

    import httpx

    key = os.environ.get("MTS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=service_url.rstrip("/"), headers=headers, timeout=120) as http:
        repeated = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = http.post("/api/v1/train", json=spec, headers=repeated)
        if answer.status_code >= 400:
            raise RuntimeError(f"the service refused the job: {answer.text}")
        job = answer.json()
        while not job["finished_at"]:
            job = http.get(f"/api/v1/jobs/{job['id']}", params={"wait_s": 60}).raise_for_status().json()
    if job["status"] != "SUCCEEDED":
        raise RuntimeError(f"job {job['id']} is {job['status']}: {job['error']}")
    return namedtuple("Trained", ["job_id", "version"])(job["id"], job["result"]["model"]["version"])


@dsl.component(base_image=BASE_IMAGE, packages_to_install=PACKAGES)
def evaluate(service_url: str, model: str, version: str, data: dict, slices: list, metrics: dsl.Output[dsl.Metrics]):
    """Measures a version on other rows, by POST /api/v1/evaluate, and waits; its metrics are the task's."""
    import os

    import httpx

    key = os.environ.get("MTS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=service_url.rstrip("/"), headers=headers, timeout=120) as http:
        asked = {"model": {"name": model, "version": version}, "data": data, "slices": slices}
        answer = http.post("/api/v1/evaluate", json=asked, params={"wait_s": 0})
        if answer.status_code >= 400:
            raise RuntimeError(f"the service refused the evaluation: {answer.text}")
        job = answer.json()
        while not job["finished_at"]:
            job = http.get(f"/api/v1/jobs/{job['id']}", params={"wait_s": 60}).raise_for_status().json()
    if job["status"] != "SUCCEEDED":
        raise RuntimeError(f"job {job['id']} is {job['status']}: {job['error']}")
    for name, interval in job["result"]["metrics"].items():
        if interval["value"] is not None:
            metrics.log_metric(name, interval["value"])


@dsl.component(base_image=BASE_IMAGE, packages_to_install=PACKAGES)
def gate(service_url: str, model: str, version: str) -> NamedTuple("Verdict", [("decision", str), ("reasons", str)]):
    """What the gate said of a version beside the champion: promote or keep, and why."""
    import os
    from collections import namedtuple

    import httpx

    key = os.environ.get("MTS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx.get(f"{service_url.rstrip('/')}/api/v1/models/{model}/versions/{version}", headers=headers)
    verdict = answer.raise_for_status().json()["gate"]
    return namedtuple("Verdict", ["decision", "reasons"])(verdict["decision"], "; ".join(verdict["reasons"]))


@dsl.component(base_image=BASE_IMAGE, packages_to_install=PACKAGES)
def promote(service_url: str, model: str, version: str, decision: str, reason: str) -> str:
    """Makes the version the champion where the gate lets it pass and it is not yet; answers the champion."""
    import os

    import httpx

    key = os.environ.get("MTS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=service_url.rstrip("/"), headers=headers, timeout=120) as http:
        found = http.get(f"/api/v1/models/{model}").raise_for_status().json()
        if decision == "promote" and found["aliases"].get("champion") != version:
            path = f"/api/v1/models/{model}/versions/{version}/promote"
            answer = http.post(path, json={"reason": reason})
            if answer.status_code >= 400:
                raise RuntimeError(f"the service refused the promotion: {answer.text}")
            found = answer.json()
    return found["aliases"].get("champion", "")


@dsl.pipeline(name="train-evaluate-gate-promote")
def train_to_champion(
    service_url: str,
    model: str,
    spec: dict,
    evaluation_data: dict,
    slices: list,
    idempotency_key: str,
) -> str:
    """From a spec to a champion, or to the reasons why it is none."""
    trained = train(service_url=service_url, spec=spec, idempotency_key=idempotency_key)
    version = trained.outputs["version"]
    measured = evaluate(service_url=service_url, model=model, version=version, data=evaluation_data, slices=slices)
    verdict = gate(service_url=service_url, model=model, version=version).after(measured)
    promoted = promote(
        service_url=service_url, model=model, version=version,
        decision=verdict.outputs["decision"], reason=verdict.outputs["reasons"],
    )  # fmt: skip
    return promoted.output


def compiled(target: Path = TARGET) -> Any:
    """Writes the pipeline as a file that Kubeflow takes."""
    compiler.Compiler().compile(train_to_champion, str(target))
    return target


if __name__ == "__main__":
    compiled()
