"""What a worker process does with an assignment: the seam between dispatching and training."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from ray_app.dispatcher.messages import Assignment, Place
from training.events import Observer


class Runner(Protocol):
    """Lives in worker processes only: the dispatcher's own stays free of training libraries. Stateless."""

    def run(
        self, assignment: Assignment, place: Place, observer: Observer, commit: Callable[[], None]
    ) -> dict[str, Any]:  # fmt: skip
        """Runs an attempt; the result of the job, as JSON.

        Args:
            assignment: the attempt.
            place: where to read and register.
            observer: hears how it goes.
            commit: to be called right before a version is registered; raises where this attempt may not.

        Raises:
            TrainingError: told to the caller as it is; any other exception is an internal error.
        """

    def registered(self, assignment: Assignment, place: Place) -> dict[str, Any] | None:
        """The result of an earlier attempt at the job that died after it had registered; None where none has.

        Raises:
            TrainingError: it cannot be known now.
        """

    def rehearse(self, place: Place) -> None:
        """Does what the first job of a process would have to wait for, and leaves nothing behind."""

    def tidy(self, job_id: str, name: str, place: Place) -> None:
        """Closes what attempts at that job have left open: its process was killed, and there is no further attempt."""


PIPELINE = "ray_app.dispatcher.pipeline_runner:PipelineRunner"
"""The runner of the service."""


def load_runner(path: str) -> Runner:
    """Makes the runner that "package.module:Class" names."""
    module, _, name = path.partition(":")
    runner: Runner = getattr(importlib.import_module(module), name)()
    return runner
