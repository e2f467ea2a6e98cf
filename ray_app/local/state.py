"""What runs on this machine, as files in the home's run folder: one JSON document and one lock.

The supervisor holds the lock as long as it lives, however it ends, and alone writes the document, by renaming a
complete file into place; readers therefore never see half of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from ray_app.local.processes import ProcessId
from ray_app.settings import Settings

PartName = Literal["ray", "service", "mlflow"]
PartStatus = Literal["waiting", "starting", "running", "failed", "stopped"]
# A socket's path may have 107 characters, and Ray puts up to 70 below its folder.
MAX_TEMPORARY_ROOT_CHARS = 24
STOP_S = 10.0
"""For what runs to save a checkpoint; a fit reports five times a second, and stops then."""
CALLS_S = 5.0


class Part(BaseModel):
    """One of the things that are brought up."""

    status: PartStatus = "waiting"
    process: ProcessId | None = None
    since: float = 0.0
    """When the present status began, seconds since the epoch."""
    took_s: float | None = None
    """From its start until it ran."""
    address: str = ""
    log: str
    restarts: int = 0


class RunState(BaseModel):
    """What the supervisor has brought up."""

    status: Literal["starting", "ready", "failed", "stopping"] = "starting"
    supervisor: ProcessId
    began: float
    message: str = ""
    """Why it failed."""
    ray_address: str = ""
    """For ray.init."""
    dashboard: str = ""
    """Ray's web page and job interface."""
    parts: dict[PartName, Part]

    def failed_log(self) -> Path | None:
        """The log of the part that failed."""
        return next((Path(part.log) for part in self.parts.values() if part.status == "failed"), None)


class DrainLimits(BaseModel):
    """How much time what runs is given before the service ends."""

    wait_s: float
    """To come to its end."""
    stop_s: float = STOP_S
    """Then, to leave a checkpoint and stop."""

    @property
    def total_s(self) -> float:
        """With what the calls themselves may take."""
        return self.wait_s + self.stop_s + CALLS_S


class RunFolder:
    """Paths of one home."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home_path / "run"
        self.state_path = self.path / "state.json"
        self.lock_path = self.path / "lock"
        self._drain_path = self.path / "drain.json"
        self.logs = settings.logs_path
        root = Path(tempfile.gettempdir())
        if len(str(root)) > MAX_TEMPORARY_ROOT_CHARS:
            root = Path("/tmp")  # noqa: S108 - the folder below is made for its owner only, and checked
        self.ray_folder = root / f"mts-{hashlib.sha256(str(self.path).encode()).hexdigest()[:12]}"

    def log(self, name: str) -> Path:
        """The log of a part."""
        return self.logs / f"{name}.log"

    def read(self) -> RunState | None:
        """The state as last written, whether its supervisor lives or not; None where there is none that can be read."""
        try:
            return RunState.model_validate_json(self.state_path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def live(self) -> RunState | None:
        """The state, if its supervisor lives."""
        state = self.read()
        return state if state is not None and state.supervisor.find() is not None else None

    def write(self, state: RunState) -> None:
        """Replaces the state in one step."""
        fresh = self.state_path.with_suffix(".new")
        fresh.write_text(state.model_dump_json(indent=2))
        fresh.replace(self.state_path)

    def drain_limits(self) -> DrainLimits | None:
        """What whoever stops the service asked for; None where the parts are ended for another reason."""
        try:
            return DrainLimits.model_validate_json(self._drain_path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def ask_to_drain(self, limits: DrainLimits) -> None:
        """Read by the supervisor and by the driver when they are asked to end."""
        fresh = self._drain_path.with_suffix(".new")
        fresh.write_text(limits.model_dump_json())
        fresh.replace(self._drain_path)

    def clear(self) -> None:
        """Removes what only a running service needs, and an earlier one may have left; not the lock."""
        self.state_path.unlink(missing_ok=True)
        self._drain_path.unlink(missing_ok=True)
        shutil.rmtree(self.ray_folder, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """Takes the lock of the home; gives None where another process has it.

        The handle may be inherited by a child: the lock is free when all who have the handle have closed it or died.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield handle if _try_lock(handle) else None
        finally:
            os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
