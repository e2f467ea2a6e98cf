"""Keeps Ray, the service and the MLflow page running: `python -m ray_app.local.supervisor`, started by `mts up`.

A control loop: `step` looks once at all parts and does what is due. Ray and the service's driver live and die together,
because the driver owns the dispatcher and the warm workers; jobs that were running go on by the dispatcher's
reconciliation. The MLflow page depends on nothing and nothing depends on it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Protocol

import psutil

from ray_app.local import logs, processes
from ray_app.local.auth import ensure_token
from ray_app.local.environment import cluster_environment
from ray_app.local.housekeeping import INTERVAL_S, tidy_home
from ray_app.local.parts import MlflowPage, RayHead, Service, choose_ports, keep_ray_logs
from ray_app.local.state import DrainLimits, Part, PartName, RunFolder, RunState
from ray_app.services.structured_logs import set_up_logs
from ray_app.settings import Settings

STEP_S = 0.3
# Short: the job store and MLflow commit what they answer, and a job that is cut off goes on after the next start.
GRACE_S = 3.0
# For what is left of a part whose first process has ended.
ORPHAN_GRACE_S = 0.5
START_LIMIT_S = 300.0
MAX_FIRST_STARTS = 2
MAX_RESTART_DELAY_S = 60.0
HEALTHY_AFTER_S = 120.0

logger = logging.getLogger("mts.supervisor")


class Launchable(Protocol):
    """A part: how it is started and how it is known to run."""

    address: str

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it."""

    def running(self) -> bool:
        """Whether it does its work."""


class StartupError(Exception):
    """A part cannot be brought up; the message is for the user."""


class Supervised:
    """One part with its process and its record in the state."""

    def __init__(self, name: PartName, part: Launchable, record: Part) -> None:
        self.name = name
        self.part = part
        self.record = record
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Starts the process."""
        self.process = self.part.launch()
        self._note("starting", processes.identify(self.process.pid))
        self.record.address = self.part.address
        self.record.took_s = None

    def died(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self.process is not None and self.process.poll() is not None

    def newly_running(self) -> bool:
        """Looks whether a starting part runs by now; True once for each start."""
        if self.record.status != "starting" or self.died() or not self.part.running():
            return False
        took_s = round(time.time() - self.record.since, 1)
        self._note("running", self.record.process)
        self.record.took_s = took_s
        return True

    def ended(self) -> None:
        """Notes that the process has been ended."""
        if self.process is not None:
            # a part that ended before it was told its input
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process.wait()
        self.process = None
        self._note("stopped", None)

    def family(self) -> list[psutil.Process]:
        """The process and then its descendants; nothing where it does not run."""
        process = self.record.process.find() if self.record.process is not None else None
        return [] if process is None else [process, *process.children(recursive=True)]

    def _note(self, status: str, process: processes.ProcessId | None) -> None:
        self.record.status = status  # type: ignore[assignment]  # one of the literals
        self.record.process = process
        self.record.since = time.time()


class Supervisor:
    """Brings the parts up and keeps them up until it is asked to stop."""

    def __init__(self, settings: Settings, run: RunFolder) -> None:
        self._settings = settings
        self._run = run
        ray, service, page = RayHead(settings, run), Service(settings, run), MlflowPage(settings, run)
        records: dict[PartName, Part] = {
            name: Part(log=str(run.log(name)), since=time.time()) for name in ("ray", "service", "mlflow")
        }
        self.state = RunState(
            supervisor=processes.identify(psutil.Process().pid), began=time.time(),
            ray_address=ray.address, dashboard=f"http://127.0.0.1:{settings.dashboard_port}", parts=records,
        )  # fmt: skip
        self._ray = Supervised("ray", ray, records["ray"])
        self._service = Supervised("service", service, records["service"])
        self._page = Supervised("mlflow", page, records["mlflow"])
        self._external_page = page.external
        self._was_ready = False
        self._failures = 0
        self._not_before = 0.0
        self._written = ""
        self._tidied_at = -INTERVAL_S

    def step(self) -> None:
        """Looks once at everything and does what is due.

        Raises:
            StartupError: the first start does not succeed.
        """
        self._step_cluster()
        if self._service.record.status == "running":
            self._step_page()
        self.publish()

    def publish(self) -> None:
        """Writes the state if it has changed."""
        text = self.state.model_dump_json()
        if text != self._written:
            self._run.write(self.state)
            self._written = text

    def end(self) -> None:
        """Ends all parts, and whatever they have left behind."""
        if self.state.status != "failed":
            self.state.status = "stopping"
            self.publish()
        self._drain()
        self._end_parts(self._page, self._service, self._ray)
        processes.end_marked(self._run.path, grace_s=ORPHAN_GRACE_S)

    def _drain(self) -> None:
        """Gives what runs the time to come to its end, or to leave a checkpoint; the driver sees to it, and ends."""
        if self._service.record.status != "running":
            return
        limits = self._run.drain_limits() or DrainLimits(wait_s=self._settings.drain_s)
        self._run.ask_to_drain(limits)
        processes.end(self._service.family()[:1], grace_s=limits.total_s)

    def _end_parts(self, *parts: Supervised) -> None:
        """Asks the first process of each part, which ends its own children, and then whatever it left."""
        families = [part.family() for part in parts]
        processes.end([family[0] for family in families if family], grace_s=GRACE_S)
        processes.end(
            [child for family in families for child in family[1:] if child.is_running()], grace_s=ORPHAN_GRACE_S
        )
        for part in parts:
            part.ended()

    def keep_house(self) -> None:
        """Cuts logs that have grown too large, and once an hour removes what is older than its time."""
        if time.monotonic() - self._tidied_at > INTERVAL_S:
            self._tidied_at = time.monotonic()
            tidy_home(self._settings)
        for name in ("ray", "service", "mlflow", "supervisor"):
            logs.bound(self._run.log(name))

    def _step_cluster(self) -> None:
        if self._ray.process is None:
            if time.time() >= self._not_before:
                self._ray.launch()
                self._service.launch()
            return
        for part in (self._ray, self._service):
            if part.died():
                self._cluster_failed(part, "ended")
                return
            if part.record.status == "starting" and time.time() - part.record.since > START_LIMIT_S:
                self._cluster_failed(part, f"did not start within {START_LIMIT_S:.0f} s")
                return
        if self._ray.newly_running():
            self._tell_driver(self.state.ray_address)
        if self._ray.record.status == "running" and self._service.newly_running():
            self.state.status = "ready"
            self._was_ready = True
            logger.info("ready: %s", self._service.record.address)
        if self._failures and time.time() - self._service.record.since > HEALTHY_AFTER_S:
            self._failures = 0

    def _tell_driver(self, address: str) -> None:
        pipe = self._service.process.stdin if self._service.process is not None else None
        if pipe is None:
            return
        try:
            with pipe:
                pipe.write(f"{address}\n".encode())
        except BrokenPipeError:
            logger.warning("the driver ended before it was told the address")

    def _cluster_failed(self, part: Supervised, what: str) -> None:
        self._failures += 1
        last = "\n".join(logs.tail(Path(part.record.log), 15))
        logger.warning("%s %s; its last lines:\n%s", part.name, what, last)
        keep_ray_logs(self._run)
        self._end_parts(self._service, self._ray)
        processes.end_marked(self._run.path, keep=self._page.family(), grace_s=ORPHAN_GRACE_S)
        if not self._was_ready and self._failures >= MAX_FIRST_STARTS:
            part.record.status = "failed"
            raise StartupError(f"{part.name} {what}")
        delay_s = min(2.0 ** (self._failures - 1) - 1, MAX_RESTART_DELAY_S)
        self._not_before = time.time() + delay_s
        part.record.restarts += 1
        self.state.status = "starting"
        self.publish()

    def _step_page(self) -> None:
        if self._external_page:
            self._page.record.status = "running"
            self._page.record.address = self._page.part.address
            return
        if self._page.died():
            logger.warning("the MLflow page ended; its last lines:\n%s", "\n".join(logs.tail(self._run.log("mlflow"))))
            self._end_parts(self._page)
            self._page.record.restarts += 1
        due_s = min(2.0**self._page.record.restarts - 1, MAX_RESTART_DELAY_S)
        if self._page.process is None and time.time() - self._page.record.since >= due_s:
            self._page.launch()
        self._page.newly_running()


def main() -> int:
    """Runs until SIGTERM; 1 if the parts cannot be brought up. Its argument is the handle of the home's lock."""
    if len(sys.argv) != 2:
        logger.error("start it with `mts up`")
        return 2
    os.set_inheritable(int(sys.argv[1]), False)
    settings = Settings()
    set_up_logs(settings.log_format)
    stop = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return supervise(choose_ports(settings), RunFolder(settings), stop)


def supervise(settings: Settings, run: RunFolder, stop: threading.Event) -> int:
    """Brings everything up, keeps it up until `stop` is set, and takes it down again."""
    ensure_token(cluster_environment(settings, run))
    supervisor = Supervisor(settings, run)
    try:
        while not stop.is_set():
            supervisor.step()
            supervisor.keep_house()
            stop.wait(STEP_S)
    except StartupError as error:
        supervisor.state.status = "failed"
        supervisor.state.message = str(error)
        supervisor.publish()
        return 1
    finally:
        supervisor.end()
        supervisor.publish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
