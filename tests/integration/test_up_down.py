"""`mts up` and `mts down` with real processes: Ray, Serve, MLflow. The application is a stub, for it is not what is
tested here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from certificates import certificate

from ray_app.local import processes
from ray_app.local.ports import next_free
from ray_app.local.state import RunFolder, RunState
from ray_app.local.tls import trusted
from ray_app.settings import Settings

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MTS = Path(sys.executable).with_name("mts")
LIMIT_S = 240.0
STUB = """
from fastapi import FastAPI
from ray import serve

api = FastAPI()

@serve.deployment(ray_actor_options={"num_cpus": 0})
@serve.ingress(api)
class Stub:
    @api.get("/readyz")
    def ready(self) -> dict[str, str]:
        return {"status": "ready"}

def build(args: dict) -> serve.Application:
    return Stub.bind()
"""


@dataclass(frozen=True)
class Machine:
    """A home of its own, where nothing runs yet."""

    folder: Path
    environment: dict[str, str]
    settings: Settings

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.settings)

    @property
    def url(self) -> str:
        return self.settings.service_url

    def mts(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MTS, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def speaks_https(self) -> Machine:
        """The same with a certificate of its own."""
        cert, key = certificate(self.folder, days=100)
        own = {"MTS_TLS_CERT_FILE": str(cert), "MTS_TLS_KEY_FILE": str(key)}
        settings = self.settings.model_copy(update={"tls_cert_file": cert, "tls_key_file": key})
        return replace(self, environment=self.environment | own, settings=settings)

    def state(self) -> RunState:
        state = self.run.live()
        assert state is not None
        return state

    def leftovers(self) -> list[str]:
        return [process.name() for process in processes.marked(self.run.path)]

    def deploys(self, import_path: str) -> None:
        config = {"applications": [{"name": "stub", "route_prefix": "/", "import_path": import_path}]}
        (self.folder / "serve_config.yaml").write_text(json.dumps(config))


def until(condition: Callable[[], Any]) -> None:
    """Waits for something that other processes do; there is no event to wait for across them."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def named(name: str, machine: Machine) -> psutil.Process:
    return next(process for process in processes.marked(machine.run.path) if name in process.name())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "stub_app.py").write_text(STUB)
    ports = {f"MTS_{name}_PORT": str(next_free(0)) for name in ("RAY", "DASHBOARD", "MLFLOW")}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MTS_", "MLFLOW_"))
    }
    environment |= ports | {"MTS_PORT": str(next_free(0)), "MTS_HOME": str(tmp_path / "home"), "MTS_NUM_CPUS": "2"}
    environment["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "token")
    settings = Settings(home=tmp_path / "home", base=tmp_path, port=int(environment["MTS_PORT"]), _env_file=None)
    machine = Machine(tmp_path, environment, settings)
    machine.deploys("stub_app:build")
    yield machine
    machine.mts("down")


def listening(machine: Machine) -> set[str]:
    """Addresses that our processes listen on."""
    pids = {process.pid for process in processes.marked(machine.run.path)}
    return {
        connection.laddr[0]
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.pid in pids
        and connection.laddr
        # Serve's replicas listen for each other on all interfaces; whoever calls there needs the token
        and "ServeReplica" not in psutil.Process(connection.pid).name()
    }


def test_up_brings_everything_up_once_and_down_leaves_nothing(machine: Machine) -> None:
    up = machine.mts("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert httpx.get(f"{machine.url}/readyz").status_code == 200
    for address in (machine.url, machine.state().dashboard, machine.state().parts["mlflow"].address):
        assert address in up.stdout
    assert listening(machine) <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert httpx.get(f"{machine.state().dashboard}/api/version").status_code == 401, "Ray asks for the token"
    assert (machine.folder / "token").stat().st_mode & 0o077 == 0

    supervisor = machine.state().supervisor
    again = machine.mts("up", "--detach")
    assert again.returncode == 0
    assert "already running" in again.stdout
    assert machine.state().supervisor == supervisor

    status = json.loads(machine.mts("status", "--json").stdout)
    assert status["status"] == "ready"
    until(lambda: machine.state().parts["mlflow"].status == "running")
    assert machine.mts("status").returncode == 0
    page = machine.state().parts["mlflow"].address
    assert httpx.get(page, headers={"Host": "evil.example"}).status_code == 403, "only by its own names"
    doctor = json.loads(machine.mts("doctor", "--json").stdout)
    checks = {check["name"]: check["status"] for check in doctor["checks"]}
    assert (checks["ray"], checks["api"], checks["token"]) == ("ok", "ok", "ok")

    down = machine.mts("down")
    assert down.returncode == 0, down.stderr
    assert machine.leftovers() == []
    assert not machine.run.ray_folder.exists()
    assert machine.mts("status").returncode == 1
    assert machine.mts("down").stdout == "nothing was running\n"


def test_what_is_killed_comes_back(machine: Machine) -> None:
    assert machine.mts("up", "--detach").returncode == 0
    until(lambda: machine.state().parts["mlflow"].status == "running")

    service = machine.state().parts["service"].process
    page = machine.state().parts["mlflow"].process
    assert page is not None
    os.kill(page.pid, signal.SIGKILL)
    until(lambda: machine.state().parts["mlflow"].restarts == 1)
    until(lambda: machine.state().parts["mlflow"].status == "running")
    assert machine.state().parts["service"].process == service, "nothing depends on the page"

    named("raylet", machine).kill()
    until(lambda: machine.state().status == "starting")
    until(lambda: machine.state().status == "ready")
    assert httpx.get(f"{machine.url}/readyz").status_code == 200
    assert (machine.run.logs / "ray-failed" / "raylet.out").exists(), "why it failed can be looked up"


def test_over_https_a_killed_supervisor_leaves_the_service_running_and_both_commands_clean_up(
    machine: Machine,
) -> None:
    machine = machine.speaks_https()
    up = machine.mts("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert machine.url.startswith("https://")
    assert machine.url in up.stdout
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{machine.url}/readyz")  # nobody but this machine trusts what it has signed itself
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{machine.url.replace('https', 'http')}/readyz")
    checks = {check["name"]: check["status"] for check in json.loads(machine.mts("doctor", "--json").stdout)["checks"]}
    assert (checks["certificate"], checks["api"]) == ("ok", "ok")
    assert "Not Found" in machine.mts("jobs").stderr, "the command reaches the stub, which knows no jobs"
    os.kill(machine.state().supervisor.pid, signal.SIGKILL)
    until(lambda: machine.run.live() is None)
    assert httpx.get(f"{machine.url}/readyz", verify=trusted(machine.settings)).status_code == 200
    left = {process.pid for process in processes.marked(machine.run.path)}
    assert machine.mts("up", "--detach").returncode == 0
    assert not left & {process.pid for process in processes.marked(machine.run.path)}

    os.kill(machine.state().supervisor.pid, signal.SIGKILL)
    until(lambda: machine.run.live() is None)
    assert machine.mts("down").returncode == 0
    assert machine.leftovers() == []


def test_an_application_that_cannot_be_deployed_is_told_and_leaves_nothing(machine: Machine) -> None:
    machine.deploys("no_such_module:build")
    up = machine.mts("up", "--detach")
    assert up.returncode == 1
    assert "service ended" in up.stderr
    assert "No module named 'no_such_module'" in up.stderr
    assert "remedy" in up.stderr
    assert machine.leftovers() == []


@pytest.fixture
def signals_as_in_a_terminal() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.parametrize("when", ["while it starts", "when it runs"])
def test_in_the_foreground_ctrl_c_stops_everything(machine: Machine, when: str) -> None:
    with subprocess.Popen(
        [MTS, "up"],
        cwd=machine.folder,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout is not None
        assert up.stderr is not None
        if when == "when it runs":
            lines = [up.stdout.readline() for _ in range(3)]
            assert machine.url in "".join(lines)
        else:
            assert "Ray starting" in up.stderr.readline()
        up.send_signal(signal.SIGINT)
        assert up.wait(LIMIT_S) == 0
        assert "stopped" in up.stderr.read()
    assert machine.leftovers() == []
