"""Our processes: started in sessions of their own, recognised later by a mark in their environment, ended for sure.

A process id alone may have gone to somebody else, so it counts only together with the time at which the process began.
Every process that we start carries the run folder in `MTS_RUN_FOLDER`, and so do all its descendants: Ray's workers and
the drivers of submitted jobs, which leave the process group and even the session that they were started in.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from ray_app.local import logs

RUN_FOLDER_MARK = "MTS_RUN_FOLDER"
# psutil derives the start from the boot time, which moves a little when the clock is adjusted.
START_TOLERANCE_S = 2.0
MAX_SWEEPS = 4
VISIBLE_LIMIT_S = 1.0
VISIBLE_STEP_S = 0.001
SESSION_NICENESS = 5
"""A third of the share of any other session that wants a processor at the same time."""

logger = logging.getLogger(__name__)


class ProcessId(BaseModel):
    """A process that can be told from a later one with the same number."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    """Seconds since the epoch."""

    def find(self) -> psutil.Process | None:
        """The process, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def identify(pid: int) -> ProcessId:
    """The identity of a process that runs now."""
    return ProcessId(pid=pid, started=psutil.Process(pid).create_time())


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    with_input: bool = False,
    handles: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a process in its own session, so that Ctrl-C in a terminal does not reach it; its output goes to `log`."""
    with logs.open_log(log) as output:
        # the command is a list made by us; nothing of a caller is in it
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE if with_input else subprocess.DEVNULL, stdout=output, stderr=output,
            env=dict(environment), cwd=folder, start_new_session=True, pass_fds=tuple(handles),
        )  # fmt: skip
    _until_visible(process)
    return process


def yield_to_other_sessions(pid: int) -> None:
    """Lets the session of a process give way to the others of the machine, a terminal that asks the service among them.

    Linux shares the processors among sessions first and looks at the priorities within one only then: whoever waited
    for an answer in a terminal waited up to 0.4 s for a processor, behind fits of the lowest priority.
    """
    group = Path(f"/proc/{pid}/autogroup")
    try:
        group.write_text(str(SESSION_NICENESS))
    except OSError as error:
        # other systems and kernels have no such groups
        logger.debug("the session of process %d keeps its share: %s", pid, error.strerror)


def _until_visible(process: subprocess.Popen[bytes]) -> None:
    """Waits the moment in which the kernel has started a program but does not show its environment yet.

    Without it a process that was spawned just now could not be found by its mark.
    """
    deadline = time.monotonic() + VISIBLE_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if _variables(psutil.Process(process.pid)) != {}:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(VISIBLE_STEP_S)


def marked(run_folder: Path, keep: Collection[psutil.Process] = ()) -> list[psutil.Process]:
    """All processes of this run folder that are alive, except the calling one and those to keep.

    Some of Ray's processes write their title over their environment; they are known by the session that they share
    with one that still shows the mark.
    """
    everyone = list(psutil.process_iter())
    with_mark = [process for process in everyone if _mark(process) == str(run_folder)]
    own_session = os.getsid(0)
    sessions = {_session(process) for process in with_mark} - {own_session, None}
    spared = {psutil.Process(), *keep}
    family = with_mark + [process for process in everyone if _session(process) in sessions]
    return [process for process in dict.fromkeys(family) if process not in spared]


def _mark(process: psutil.Process) -> str | None:
    try:
        variables = _variables(process)
    except psutil.NoSuchProcess:
        return None
    return None if variables is None else variables.get(RUN_FOLDER_MARK)


def _variables(process: psutil.Process) -> dict[str, str] | None:
    """Its environment; None where it belongs to another user, and so is not ours."""
    variables: dict[str, str] | None = process.as_dict(["environ"])["environ"]
    return variables


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def end(processes: Iterable[psutil.Process], *, grace_s: float) -> list[psutil.Process]:
    """Sends SIGTERM, and SIGKILL to those that are still there after `grace_s`; answers those that outlived that."""
    asked = [process for process in processes if _signal(process, "terminate")]
    _, stubborn = psutil.wait_procs(asked, timeout=grace_s)
    killed = [process for process in stubborn if _signal(process, "kill")]
    _, alive = psutil.wait_procs(killed, timeout=grace_s)
    return alive


def end_marked(run_folder: Path, *, keep: Collection[psutil.Process] = (), grace_s: float) -> list[psutil.Process]:
    """Ends all processes of the run folder, also those that are born while it does so; answers what outlived it."""
    alive: list[psutil.Process] = []
    for _ in range(MAX_SWEEPS):
        found = marked(run_folder, keep)
        if not found:
            break
        alive = end(found, grace_s=grace_s)
    return alive


def _signal(process: psutil.Process, method: str) -> bool:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return False
    return True
