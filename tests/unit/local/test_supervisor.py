"""The control loop over real processes that do nothing; what Ray and Serve do is tested in tests/integration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ray_app.local import processes, supervisor
from ray_app.local.environment import cluster_environment
from ray_app.local.state import RunFolder
from ray_app.local.supervisor import StartupError, Supervisor
from ray_app.settings import Settings

WAITS = "import sys, signal; sys.stdin.readline(); signal.pause()"
FAILS = "print('cannot do it'); raise SystemExit(3)"


class Part:
    """A part that runs as soon as it is started."""

    address = "http://127.0.0.1:1"
    external = False

    def __init__(self, name: str, settings: Settings, run: RunFolder) -> None:
        self.name = name
        self.code = WAITS
        self.is_running = True
        self._start = cluster_environment(settings, run), run.log(name), settings.home_path

    def launch(self) -> subprocess.Popen[bytes]:
        environment, log, folder = self._start
        command = [sys.executable, "-c", self.code]
        return processes.spawn(
            command, environment=environment, log=log, folder=folder, with_input=self.name == "service"
        )

    def running(self) -> bool:
        return self.is_running


class World:
    """A supervisor over three such parts."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = RunFolder(settings)
        self.run.path.mkdir(parents=True)
        self.parts: dict[str, Part] = {}
        for name, kind in (("ray", "RayHead"), ("service", "Service"), ("mlflow", "MlflowPage")):
            monkeypatch.setattr(supervisor, kind, self._maker(name))
        self.supervisor = Supervisor(settings, self.run)

    def _maker(self, name: str) -> Callable[[Settings, RunFolder], Part]:
        def make(settings: Settings, run: RunFolder) -> Part:
            return self.parts.setdefault(name, Part(name, settings, run))

        return make

    def status(self) -> dict[str, str]:
        return {name: part.status for name, part in self.supervisor.state.parts.items()}

    def kill(self, name: str) -> int:
        identity = self.supervisor.state.parts[name].process  # type: ignore[index]
        assert identity is not None
        process = identity.find()
        assert process is not None
        process.kill()
        # only waits: the supervisor has to find out by itself
        psutil.wait_procs([process])
        return identity.pid


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(Settings(home=tmp_path / "home", _env_file=None), monkeypatch)
    yield world
    world.supervisor.end()


def test_ray_and_the_service_start_together_and_the_page_after_them(world: World) -> None:
    world.parts["service"].is_running = False
    world.supervisor.step()
    world.supervisor.step()
    assert world.status() == {"ray": "running", "service": "starting", "mlflow": "waiting"}
    assert world.supervisor.state.status == "starting"
    world.parts["service"].is_running = True
    world.supervisor.step()
    assert world.supervisor.state.status == "ready"
    world.supervisor.step()
    assert world.status() == {"ray": "running", "service": "running", "mlflow": "running"}
    assert world.run.read() == world.supervisor.state


@pytest.mark.parametrize("name", ["ray", "service"])
def test_when_ray_or_its_driver_dies_both_are_started_anew(world: World, name: str) -> None:
    for _ in range(3):
        world.supervisor.step()
    before = {part.process for part in world.supervisor.state.parts.values()}
    world.kill(name)
    world.supervisor.step()
    assert world.supervisor.state.status == "starting"
    for _ in range(3):
        world.supervisor.step()
    assert world.supervisor.state.status == "ready"
    after = {part.process for part in world.supervisor.state.parts.values()}
    assert len(before & after) == 1, "only the page stayed"
    assert world.supervisor.state.parts[name].restarts == 1  # type: ignore[index]


def test_when_the_page_dies_nothing_else_is_touched(world: World) -> None:
    for _ in range(3):
        world.supervisor.step()
    ray, service = (world.supervisor.state.parts[name].process for name in ("ray", "service"))
    world.kill("mlflow")
    world.supervisor.step()
    assert world.supervisor.state.status == "ready"
    assert world.supervisor.state.parts["mlflow"].restarts == 1
    assert world.supervisor.state.parts["ray"].process == ray
    assert world.supervisor.state.parts["service"].process == service


def test_a_first_start_that_fails_again_and_again_ends_with_the_name_of_the_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 0.5)
    world.parts["service"].code = FAILS
    monkeypatch.setattr(supervisor, "MAX_FIRST_STARTS", 1)
    world.supervisor.step()
    identity = world.supervisor.state.parts["service"].process
    assert identity is not None
    psutil.Process(identity.pid).wait()
    with pytest.raises(StartupError, match="service ended"):
        world.supervisor.step()
    assert world.supervisor.state.parts["service"].status == "failed"
    assert "cannot do it" in world.run.log("service").read_text()


def test_the_end_leaves_no_process(world: World) -> None:
    for _ in range(3):
        world.supervisor.step()
    assert len(processes.marked(world.run.path)) == 3
    world.supervisor.end()
    assert processes.marked(world.run.path) == []
    assert set(world.status().values()) == {"stopped"}
