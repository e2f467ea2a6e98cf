"""A service of its own for the benchmarks: own home, own ports, ended afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
SPEC = {
    "name": "bench",
    "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
}
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


@dataclass(frozen=True)
class Service:
    """A running service."""

    http: httpx.Client
    home: Path
    environment: dict[str, str]

    def submit(self, **changes: Any) -> dict[str, Any]:
        """Posts the benchmark's spec with changes; answers the job."""
        answer = self.http.post("/api/v1/train", json=SPEC | changes)
        answer.raise_for_status()
        return dict(answer.json())

    def wait(self, job_id: str) -> dict[str, Any]:
        """Waits for the job to be over."""
        while True:
            job = self.http.get(f"/api/v1/jobs/{job_id}", params={"wait_s": 60}).raise_for_status().json()
            if job["status"] in FINAL:
                if job["status"] != "SUCCEEDED":
                    raise RuntimeError(f"{job_id} {job['status']}: {job['error']}")
                return dict(job)

    def run(self, **changes: Any) -> dict[str, Any]:
        """A job from submission to its end."""
        return self.wait(self.submit(**changes)["id"])

    def seconds_to_fit(self) -> float:
        """From the moment of POST /train to the moment at which the fit begins, by the job's own events."""
        posted = time.time()
        job = self.submit()
        self.wait(job["id"])
        with self.http.stream("GET", f"/api/v1/jobs/{job['id']}/events") as answer:
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    kind = line.removeprefix("event:").strip()
                elif line.startswith("data:") and kind == "phase" and '"fit"' in line:
                    return begun_s(line.removeprefix("data:")) - posted
        raise RuntimeError("the job's events name no fit")


def begun_s(data: str) -> float:
    """Unix time of an event."""
    import json

    return datetime.fromisoformat(json.loads(data)["time"]).timestamp()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until_all_runs(mts: str, environment: dict[str, str]) -> None:
    """Waits for the MLflow page too, whose start takes half a minute of a core."""
    while subprocess.run([mts, "status"], env=environment, capture_output=True, check=False).returncode != 0:
        time.sleep(1)


@contextmanager
def running_service() -> Iterator[Service]:
    """Brings a service up and down again."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        environment = os.environ | {
            "MTS_HOME": folder, "MTS_PORT": str(port), "MTS_MLFLOW_PORT": "0", "MTS_RAY_PORT": "0",
            "MTS_DASHBOARD_PORT": "0", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        for name in ("MLFLOW_TRACKING_URI", "MTS_ARTIFACT_URI", "MTS_DATABASE_URL"):
            environment.pop(name, None)
        mts = str(Path(sys.executable).with_name("mts"))
        subprocess.run([mts, "up", "--detach"], cwd=ROOT, env=environment, check=True)
        try:
            until_all_runs(mts, environment)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
                yield Service(http, Path(folder), environment)
        finally:
            subprocess.run([mts, "down"], cwd=ROOT, env=environment, check=True)
