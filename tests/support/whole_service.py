"""The whole service, as `mts up --detach` starts it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from ray_app.local.state import RunFolder
from ray_app.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
GERMAN = {
    "name": "german-credit",
    "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
}
SLOW_MODEL = {
    "family": "xgboost",
    "params": {"n_estimators": 6_000, "learning_rate": 1e-4, "early_stopping_rounds": 0},
}


@dataclass(frozen=True)
class WholeService:
    """A running service and how a user reaches it."""

    home: Path
    port: int
    environment: dict[str, str]
    http: httpx.Client

    @property
    def tracking_uri(self) -> str:
        """SQLAlchemy URL of MLflow's store."""
        given = self.environment.get("MLFLOW_TRACKING_URI", f"sqlite:///{self.home / 'mlflow.db'}")
        return given.replace("postgresql:", "postgresql+psycopg:")

    def mts(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command, as a user calls it."""
        return subprocess.run(
            [BIN / "mts", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=check
        )

    def submit(self, **changes: Any) -> dict[str, Any]:
        """Posts a job on German credit."""
        answer = self.http.post("/api/v1/train", json=GERMAN | changes)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def job(self, job_id: str, wait_s: float = 0) -> dict[str, Any]:
        """The job as it is, or as soon as it is over."""
        return dict(self.http.get(f"/api/v1/jobs/{job_id}", params={"wait_s": wait_s}).raise_for_status().json())

    def finished(self, job_id: str) -> dict[str, Any]:
        """The job once it is over."""
        while True:
            job = self.job(job_id, wait_s=60)
            if job["finished_at"]:
                return job

    def until_fitting(self, job_id: str) -> None:
        """Returns when the job's fit has begun."""
        with self.http.stream("GET", f"/api/v1/jobs/{job_id}/events") as events:
            assert any('"phase":"fit"' in line.replace(" ", "") for line in events.iter_lines())

    def states(self, job_id: str) -> list[str]:
        """The states that a finished job went through, from its events."""
        with self.http.stream("GET", f"/api/v1/jobs/{job_id}/events") as events:
            lines = list(events.iter_lines())
        kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event:")]
        data = [line for line in lines if line.startswith("data:")]
        names = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")
        return [
            next(name for name in names if f'"status":"{name}"' in line.replace(" ", ""))
            for kind, line in zip(kinds, data, strict=True)
            if kind == "state"
        ]

    def processes(self, title: str) -> list[psutil.Process]:
        """Processes of this service whose title begins so, such as `ray::DispatcherActor`."""
        mine = []
        for process in psutil.process_iter(["cmdline"]):
            if not (process.info["cmdline"] or [""])[0].startswith(title):
                continue
            try:
                if process.environ().get("MTS_HOME") == str(self.home):
                    mine.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied) as error:
                print(f"{title}: {error}")
        return mine

    def kill(self, title: str) -> None:
        """Ends the processes with that title by SIGKILL, and waits until the service is ready without them."""
        victims = self.processes(title)
        assert victims, title
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims, timeout=30)
        while self.http.get("/readyz").status_code != 200:
            pass

    def ray_metrics(self) -> list[str]:
        """Where Ray's own metrics are scraped, as the cluster tells Prometheus."""
        folder = RunFolder(Settings(home=self.home)).ray_folder / "session_latest"
        told = json.loads((folder / "prom_metrics_service_discovery.json").read_text(encoding="utf-8"))
        return [address for entry in told for address in entry["targets"]]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_whole(home: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[WholeService]:
    """Brings a service of its own up, and down afterwards; in `home`, or in a folder that is removed."""
    with nullcontext(str(home)) if home else tempfile.TemporaryDirectory(prefix="mts-whole-") as folder:
        port = free_port()
        own = {
            "MTS_HOME": folder, "MTS_PORT": str(port), "MTS_MLFLOW_PORT": "0", "MTS_RAY_PORT": "0",
            "MTS_DASHBOARD_PORT": "0", "MTS_DRAIN_S": "0", "COLUMNS": "120",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MTS_", "MLFLOW_", "RAY_"))}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
            service = WholeService(Path(folder), port, kept | own | dict(settings or {}), http)
            up = service.mts("up", "--detach", check=False)
            assert up.returncode == 0, up.stdout + up.stderr
            try:
                yield service
            finally:
                service.mts("down")
