"""What is done to the service. Each fault says what it did, and leaves nothing of its own behind."""

from __future__ import annotations

import errno
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from whole_service import WholeService

from chaos.postgres import Postgres
from ray_app.local.processes import marked

FREEZE_S = (1.0, 6.0)
FULL_S = 4.0
APPEAR_S = 8.0
"""A process that comes and goes is waited for so long."""
PIECE = b"\0" * 1_000_000

Fault = Callable[["Breaker"], str]


def command_line(process: psutil.Process) -> str:
    """Its words; none where it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


class Breaker:
    """Finds the processes of one service, and ends or freezes them."""

    def __init__(self, whole: WholeService, seed: int, postgres: Postgres | None = None) -> None:
        self.whole = whole
        self._postgres = postgres
        self.random = random.Random(seed)

    @property
    def postgres(self) -> Postgres:
        """The database server, in a campaign that has one."""
        assert self._postgres is not None
        return self._postgres

    def victim(self, *words: str) -> psutil.Process | None:
        """One of them, as soon as there is one."""
        deadline = time.monotonic() + APPEAR_S
        while time.monotonic() < deadline:
            found = self.processes(*words)
            if found:
                return self.random.choice(found)
            time.sleep(0.05)
        return None

    def processes(self, *words: str) -> list[psutil.Process]:
        """Processes of this service whose command line holds one of the words."""
        everyone = marked(self.whole.home / "run")
        return [process for process in everyone if any(word in command_line(process) for word in words)]

    def kill(self, *words: str) -> str:
        """SIGKILL to one of them."""
        victim = self.victim(*words)
        return "nothing to kill" if victim is None else self._send(victim, signal.SIGKILL)

    def freeze(self, *words: str) -> str:
        """SIGSTOP to one of them, and after some seconds SIGCONT."""
        victim = self.victim(*words)
        if victim is None:
            return "nothing to freeze"
        told = self._send(victim, signal.SIGSTOP)
        time.sleep(self.random.uniform(*FREEZE_S))
        if victim.is_running():
            self._send(victim, signal.SIGCONT)
        return f"{told}, then SIGCONT"

    def _send(self, victim: psutil.Process, number: signal.Signals) -> str:
        try:
            name = " ".join(victim.cmdline())[:60]
            victim.send_signal(number)
        except psutil.NoSuchProcess:
            return "gone by itself"
        return f"{number.name} to {victim.pid} {name.strip()}"


def fill_disk(breaker: Breaker) -> str:
    """Leaves no byte free in the home's file system for some seconds."""
    ballast = breaker.whole.home / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            _fill(file.write)
        time.sleep(FULL_S)
    finally:
        size_mb = ballast.stat().st_size // 1_000_000
        ballast.unlink()
    return f"the disk was full for {FULL_S:g} s ({size_mb} MB of ballast)"


def _fill(write: Callable[[bytes], int]) -> None:
    for size in (len(PIECE), 4096, 1):
        try:
            while write(PIECE[:size]):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def kill_everything(breaker: Breaker) -> str:
    """The head with all that runs on it, its supervisor too; then somebody starts it again."""
    found = breaker.processes("")
    for process in found:
        if process.is_running():
            process.kill()
    psutil.wait_procs(found, timeout=30)
    breaker.whole.mts("up", "--detach")
    return f"SIGKILL to all {len(found)} processes, then mts up"


def kill_supervisor(breaker: Breaker) -> str:
    """What it kept up runs on; the next start takes over."""
    told = breaker.kill("ray_app.local.supervisor")
    breaker.whole.mts("up", "--detach")
    return f"{told}, then mts up"


FAULTS: dict[str, tuple[int, Fault]] = {
    "kill a worker that trains": (20, lambda b: b.kill("ray::train:", "ray::evaluate:")),
    "kill an idle worker": (5, lambda b: b.kill("ray::IDLE")),
    "kill the dispatcher": (15, lambda b: b.kill("ray::DispatcherActor")),
    "kill the replica": (8, lambda b: b.kill("ray::ServeReplica")),
    "kill the proxy": (6, lambda b: b.kill("ray::ProxyActor")),
    "kill Serve's controller": (5, lambda b: b.kill("ray::ServeController")),
    "kill the MLflow page": (5, lambda b: b.kill("mlflow server", "mlflow.server")),
    "kill the raylet": (5, lambda b: b.kill("/raylet/raylet")),
    "kill the control store": (4, lambda b: b.kill("gcs_server")),
    "kill the driver": (3, lambda b: b.kill("ray_app.local.driver")),
    "kill the supervisor": (3, kill_supervisor),
    "kill the head with everything": (4, kill_everything),
    "freeze the dispatcher": (7, lambda b: b.freeze("ray::DispatcherActor")),
    "freeze a worker that trains": (7, lambda b: b.freeze("ray::train:")),
    "freeze the replica": (4, lambda b: b.freeze("ray::ServeReplica")),
    "freeze the raylet": (3, lambda b: b.freeze("/raylet/raylet")),
    "fill the disk": (6, fill_disk),
    "kill PostgreSQL": (8, lambda b: b.postgres.kill()),
    "PostgreSQL drops all connections": (5, lambda b: b.postgres.drop_connections()),
}
"""By name: how often, relative to the others, and what is done."""


def possible(home: Path, postgres: Postgres | None) -> set[str]:
    """Names of the faults that can be had here."""
    without = {"fill the disk"} if not can_fill(home) else set()
    if postgres is None:
        without |= {"kill PostgreSQL", "PostgreSQL drops all connections"}
    return set(FAULTS) - without


def can_fill(home: Path) -> bool:
    """Whether the home has a small file system of its own: nobody else's disk is filled."""
    return home.is_mount() and psutil.disk_usage(str(home)).total < 4 * 10**9
