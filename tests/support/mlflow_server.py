"""A real MLflow server that a test may end and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from whole_service import free_port

START_S = 180.0
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


class MlflowServer:
    """On a SQLite file in the folder, always at the same address.

    Args:
        folder: for the file, the artifacts and the log.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.store = f"sqlite:///{folder / 'mlflow.db'}"
        self.artifacts = str(folder / "artifacts")
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and does not wait."""
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", self.store, "--no-serve-artifacts", "--default-artifact-root", self.artifacts,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
            )

    def until_up(self) -> None:
        """Returns when it answers; nothing else tells."""
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """Ends it and its children by SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@contextmanager
def running_server(folder: Path) -> Iterator[MlflowServer]:
    """Starts one, and ends it."""
    server = MlflowServer(folder)
    server.start()
    try:
        server.until_up()
        yield server
    finally:
        server.kill()
