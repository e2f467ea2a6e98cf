"""A runner for dispatcher tests: does in a real worker process what the job's spec scripts, step by step."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_app.dispatcher.messages import Assignment, Place
from training.errors import DataError, UnavailableError
from training.events import Observer, Phase

POLL_S = 0.01

ERRORS: dict[str, Exception] = {
    "data": DataError.at("data.target", "defualt", "no such column; nearest: default"),
    "away": UnavailableError("the registry is away"),
    "bug": KeyError("secret inside"),
    "memory": MemoryError(),
}


class ScriptedRunner:
    """Implements ray_app.dispatcher.runner.Runner."""

    def run(
        self, assignment: Assignment, place: Place, observer: Observer, commit: Callable[[], None]
    ) -> dict[str, Any]:
        """Runs the steps of `spec["script"]`, each "verb argument", in the folder `spec["folder"]`; see `Script`."""
        script = Script(assignment, Path(assignment.spec.get("folder", ".")), observer, commit)
        for step in assignment.spec.get("script", []):
            script.do(step)
        niceness = os.getpriority(os.PRIO_PROCESS, 0)
        return {"attempt": assignment.attempt, "pid": os.getpid(), "niceness": niceness, "timings": {"fit_s": 0.01}}

    def registered(self, assignment: Assignment, place: Place) -> dict[str, Any] | None:
        """What an earlier attempt has left in a file of the job's folder; see `Script.register`."""
        made = Path(assignment.spec.get("folder", ".")) / f"registered-{assignment.job_id}"
        return {"registered_by": int(made.read_text())} if made.exists() else None

    def rehearse(self, place: Place) -> None:
        """Has nothing to import."""

    def tidy(self, job_id: str, name: str, place: Place) -> None:
        """Leaves a note in the first folder that jobs may read."""
        (Path(place.roots[0]) / f"tidied-{job_id}").touch()


@dataclass(frozen=True)
class Script:
    """A method for each verb."""

    assignment: Assignment
    folder: Path
    observer: Observer
    confirm: Callable[[], None]

    def do(self, step: str) -> None:
        """Does one step."""
        verb, _, argument = step.partition(" ")
        getattr(self, verb)(argument)

    def once(self, step: str) -> None:
        """Only the first attempt does it."""
        if self.assignment.attempt == 1:
            self.do(step)

    def phase(self, phase: Phase) -> None:
        """Begins a phase."""
        self.observer.phase(phase)

    def metric(self, value: str) -> None:
        """Reports a figure."""
        self.observer.metrics({"validation/log_loss": float(value)}, step=1)

    def log(self, text: str) -> None:
        """Writes a line."""
        self.observer.log(text)

    def mark(self, name: str) -> None:
        """Writes this process's id to a file; renamed, so that a reader never finds it half-written."""
        draft = self.folder / f".{name}.{os.getpid()}"
        draft.write_text(str(os.getpid()))
        draft.rename(self.folder / name)

    def wait(self, name: str) -> None:
        """Waits for the file, and reports progress."""
        while not (self.folder / name).exists():
            self.observer.progress(0.5, eta_s=1.0)
            time.sleep(POLL_S)

    def hold(self, name: str) -> None:
        """Waits for the file without a word."""
        while not (self.folder / name).exists():
            time.sleep(POLL_S)

    def native(self, _: str) -> None:
        """Waits in C, and does not give the interpreter back."""
        ctypes.PyDLL(None).sleep(3600)

    def commit(self, _: str) -> None:
        """Asks whether it may register."""
        self.confirm()

    def register(self, _: str) -> None:
        """Makes what `registered` finds."""
        (self.folder / f"registered-{self.assignment.job_id}").write_text(str(self.assignment.attempt))

    def fail(self, kind: str) -> None:
        """Raises."""
        raise ERRORS[kind]

    def exit(self, code: str) -> None:
        """Ends the process."""
        os._exit(int(code))
