"""What the controller needs of a cluster: small enough to be replaced in a unit test."""

from __future__ import annotations

from typing import Protocol

from ray_app.dispatcher.capacity import Capacity
from ray_app.dispatcher.messages import Assignment, Whereabouts


class Cluster(Protocol):
    """Runs attempts as tasks. Called from one thread.

    Whoever makes a cluster gives it a function that hears the end of each task, exactly once, on any thread.
    """

    def submit(self, assignment: Assignment) -> None:
        """Hands the attempt to the scheduler; returns at once."""

    def take_back(self, job_id: str, attempt: int) -> None:
        """A task that has not begun never will. Nothing happens if it is over."""

    def kill(self, job_id: str, attempt: int, where: Whereabouts) -> None:
        """Ends the process that runs the task, whatever it is busy with. Nothing happens if it is over."""

    def tidy(self, job_id: str, name: str) -> None:
        """Cleans up, soon, after a job that is final and whose process was killed."""

    def capacity(self) -> Capacity:
        """The nodes; may be a second old."""

    def exit_detail(self, worker_id: str) -> str:
        """What is known of how that worker process ended; "" if nothing."""
