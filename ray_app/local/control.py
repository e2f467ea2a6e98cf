"""Starts and stops the supervisor, and says how far it is: what `mts up`, `mts down` and `mts status` do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from ray_app.local import logs, processes
from ray_app.local.environment import cluster_environment
from ray_app.local.errors import LocalError
from ray_app.local.ports import is_free
from ray_app.local.state import DrainLimits, RunFolder, RunState
from ray_app.settings import Settings

POLL_S = 0.2
# The supervisor ends its parts one after the other, each with a grace of its own.
STOP_LIMIT_S = 60.0
GRACE_S = 3.0


@dataclass(frozen=True)
class Stopped:
    """What `stop` found and ended."""

    was_running: bool
    ended: int
    """Processes."""


def start(settings: Settings) -> Iterator[RunState]:
    """Brings everything up, or joins who already does; gives the state whenever it changes, the last one ready.

    Raises:
        LocalError: a port is taken, or a part does not start.
    """
    run = RunFolder(settings)
    launched = False
    last = None
    while True:
        state = run.live()
        if state is None:
            launched = _launch_once(settings, run, again=launched) or launched
        elif state != last:
            yield state
            last = state
            if state.status == "ready":
                return
        time.sleep(POLL_S)


def current(settings: Settings) -> RunState | None:
    """What runs now."""
    return RunFolder(settings).live()


def stop(settings: Settings, wait_s: float | None = None) -> Stopped:
    """Ends everything that was started for this home, also what a killed supervisor has left behind.

    Args:
        settings: of the service.
        wait_s: what runs may come to its end for so long, before it leaves a checkpoint and stops; None for the
            setting.

    Raises:
        LocalError: a process cannot be ended.
    """
    run = RunFolder(settings)
    count = len(processes.marked(run.path))
    limits = DrainLimits(wait_s=settings.drain_s if wait_s is None else wait_s)
    limit_s = STOP_LIMIT_S + limits.total_s
    was_running = run.live() is not None
    if was_running:
        run.ask_to_drain(limits)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        state = run.live()
        supervisor = state.supervisor.find() if state is not None else None
        if supervisor is not None:
            processes.end([supervisor], grace_s=limit_s)
        with run.lock() as handle:
            # with the lock, so that nobody starts what we are about to end
            if handle is not None:
                _clean(run)
                return Stopped(was_running=was_running, ended=count)
        time.sleep(POLL_S)
    raise LocalError(f"another process holds {run.lock_path}", hint="wait for `mts up` to come to its end, then again")


def _launch_once(settings: Settings, run: RunFolder, *, again: bool) -> bool:
    """Starts the supervisor if nobody has the lock of the home; the supervisor inherits it, so there is never a second.

    Raises:
        LocalError: `again`, which means that the supervisor that was started has ended; or a port is taken.
    """
    with run.lock() as handle:
        if handle is None:
            return False
        if again:
            raise _why_it_ended(run)
        _clean(run)
        _check(settings)
        supervisor = processes.spawn(
            [sys.executable, "-m", "ray_app.local.supervisor", str(handle)],
            environment=cluster_environment(settings, run), log=run.log("supervisor"),
            folder=settings.base.resolve(), handles=[handle],
        )  # fmt: skip
        # it outlives this process; where it does not, this leaves no zombie
        threading.Thread(target=supervisor.wait, daemon=True).start()
        return True


def _clean(run: RunFolder) -> None:
    alive = processes.end_marked(run.path, grace_s=GRACE_S)
    if alive:
        raise LocalError(f"these processes cannot be ended: {', '.join(str(process.pid) for process in alive)}")
    run.clear()


def _check(settings: Settings) -> None:
    if is_free(settings.port, settings.host):
        return
    raise LocalError(
        f"port {settings.port} on {settings.host} is taken{_holder(settings.port)}",
        hint="end that process, or choose another port: MTS_PORT=8001 mts up",
    )


def _holder(port: int) -> str:
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid]
        pid = next((c.pid for c in listening if c.laddr and c.laddr[1] == port), None)
        return f" by process {pid} ({psutil.Process(pid).name()})" if pid else ""
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""


def _why_it_ended(run: RunFolder) -> LocalError:
    state = run.read()
    log = run.log("supervisor")
    message = "the supervisor ended"
    if state is not None and state.status == "failed":
        message, log = state.message, state.failed_log() or log
    return LocalError(message, hint=f"the whole log: {log}; `mts doctor` looks for causes", log=logs.tail(log))
