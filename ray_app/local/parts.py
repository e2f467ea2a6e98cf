"""The processes that make up the service on one machine: how each is started, and how it is known to run."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from ray_app.local import logs, processes
from ray_app.local.environment import mlflow_environment, ray_environment
from ray_app.local.ports import next_free
from ray_app.local.state import RunFolder
from ray_app.local.tls import trusted
from ray_app.settings import Settings

RAY_STARTED = "Ray runtime started."
MAX_OBJECT_STORE_BYTES = 4 * 1024**3
MIN_OBJECT_STORE_BYTES = 128 * 1024**2
PROBE_TIMEOUT_S = 5.0


def choose_ports(settings: Settings) -> Settings:
    """The settings with ports that are free now."""
    taken = {settings.port}
    chosen = {}
    for name in ("ray_port", "dashboard_port", "mlflow_port"):
        chosen[name] = next_free(getattr(settings, name), taken=taken)
        taken.add(chosen[name])
    return settings.model_copy(update=chosen)


class RayHead:
    """The head node, alone on the loopback interface."""

    def __init__(self, settings: Settings, run: RunFolder) -> None:
        self._settings = settings
        self._run = run
        self._log = run.log("ray")
        self._log_start = 0
        self.address = f"127.0.0.1:{settings.ray_port}"

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it."""
        settings = self._settings
        # a port that Ray picks itself; its fixed defaults collide with a second cluster on the machine
        any_port = "0"
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--log-style=record",
            "--node-ip-address=127.0.0.1", f"--port={settings.ray_port}",
            "--dashboard-host=127.0.0.1", f"--dashboard-port={settings.dashboard_port}",
            f"--dashboard-agent-listen-port={any_port}", f"--min-worker-port={any_port}",
            f"--max-worker-port={any_port}",
            f"--ray-client-server-port={next_free(0)}", f"--temp-dir={self._run.ray_folder}",
            f"--object-store-memory={object_store_bytes()}",
        ]  # fmt: skip
        if settings.num_cpus is not None:
            command.append(f"--num-cpus={settings.num_cpus}")
        prepare_ray_folder(self._run.ray_folder)
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        environment = ray_environment(settings, self._run)
        head = processes.spawn(command, environment=environment, log=self._log, folder=settings.base.resolve())
        processes.yield_to_other_sessions(head.pid)
        return head

    def running(self) -> bool:
        """Whether the node has joined its cluster."""
        return any(RAY_STARTED in line for line in logs.tail(self._log, 1000, after=self._log_start))


class Service:
    """The long-lived driver of the cluster: it owns the dispatcher and its warm workers, and deploys the API."""

    def __init__(self, settings: Settings, run: RunFolder) -> None:
        self._settings = settings
        self._run = run
        self.address = settings.model_copy(update={"url": None}).service_url

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it; it does its imports and then waits for the address of the cluster on its standard input."""
        return processes.spawn(
            [sys.executable, "-m", "ray_app.local.driver"], environment=ray_environment(self._settings, self._run),
            log=self._run.log("service"), folder=self._settings.base.resolve(), with_input=True,
        )  # fmt: skip

    def running(self) -> bool:
        """Whether the service can take work."""
        return answers(f"{self.address}/readyz", trusted(self._settings))


class MlflowPage:
    """MLflow's web page and HTTP interface on the store that the service writes directly."""

    def __init__(self, settings: Settings, run: RunFolder) -> None:
        self._settings = settings
        self._run = run
        self.external = "://" in settings.tracking_uri and settings.tracking_uri.startswith(("http:", "https:"))
        self.address = settings.tracking_uri if self.external else f"http://127.0.0.1:{settings.mlflow_port}"

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it."""
        port = self._settings.mlflow_port
        own = ",".join(f"{host}:{port}" for host in ("127.0.0.1", "localhost"))
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--allowed-hosts", own, "--cors-allowed-origins", ",".join(f"http://{host}" for host in own.split(",")),
            "--x-frame-options", "DENY", "--no-serve-artifacts", "--default-artifact-root", self._settings.artifacts,
            "--uvicorn-opts", "--log-level=warning",
        ]  # fmt: skip
        environment = mlflow_environment(self._settings, self._run)
        return processes.spawn(
            command, environment=environment, log=self._run.log("mlflow"), folder=self._settings.home_path
        )

    def running(self) -> bool:
        """Whether the page answers."""
        return answers(f"{self.address}/health")


def answers(url: str, verify: ssl.SSLContext | bool = True) -> bool:  # noqa: FBT001, FBT002 - as httpx calls it
    """Whether a GET answers 200 now."""
    try:
        return httpx.get(url, timeout=PROBE_TIMEOUT_S, trust_env=False, verify=verify).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def object_store_bytes() -> int:
    """An eighth of the memory, within what shared memory holds; tables are shared through it without a copy."""
    shared = shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else MAX_OBJECT_STORE_BYTES  # noqa: S108
    wanted = min(psutil.virtual_memory().total // 8, int(shared * 0.8), MAX_OBJECT_STORE_BYTES)
    return max(wanted, MIN_OBJECT_STORE_BYTES)


def keep_ray_logs(run: RunFolder) -> None:
    """Saves the logs of a cluster that failed from being removed with it; only those of the last one are kept."""
    source = run.ray_folder / "session_latest" / "logs"
    if source.is_dir():
        kept = run.logs / "ray-failed"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(source, kept, symlinks=True)


def prepare_ray_folder(path: Path) -> None:
    """Makes an empty folder that only its owner can enter, in place of what an earlier cluster left there.

    Raises:
        PermissionError: somebody else has put something there.
    """
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.getuid()):
        raise PermissionError(f"{path} belongs to somebody else; remove it, or point TMPDIR to a folder of your own")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    (path / "tmp").mkdir()
