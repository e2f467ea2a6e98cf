"""Attempts that are out: handed to the cluster and not yet over. Held in memory; what must survive is in the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from ray_app.dispatcher.messages import Assignment, Whereabouts
from ray_app.dispatcher.release import Outstanding

KillReason = Literal["cancel", "time budget"]

CANCEL_GRACE_S = 3.0
"""For a running attempt to stop by itself, before its process is killed."""
COMMIT_GRACE_S = 30.0
"""The same for an attempt that is registering its version: better a late end than half a version."""
BUDGET_GRACE_S = 10.0
"""After the time budget, for a fit that returns the best so far to be evaluated and registered; plus a share of the
budget, below."""
BUDGET_GRACE_SHARE = 0.2
LOST_GRACE_S = 5.0
"""For Ray to say what became of a task whose node is dead; where the network is cut, it says so after minutes."""
KILL_TIMEOUT_S = 1.0
"""A killed attempt counts as over then, even where Ray has not said so."""


@dataclass
class Flight:
    """One attempt that is out. Times are seconds of a monotonic clock."""

    assignment: Assignment
    released_at: float
    where: Whereabouts | None = None
    """None until the process has begun."""
    committed: bool = False
    """It may be registering its version."""
    stop_asked: bool = False
    interrupted: bool = False
    """The service goes down: the attempt is to leave a checkpoint and stop, and the job goes on later."""
    kill_at: float | None = None
    kill_reason: KillReason = "cancel"
    killed_at: float | None = None
    lost_at: float | None = None
    """Since when its node has been dead."""
    waits: bool = False
    """It has begun, and waits for its workers."""
    told: str = ""
    """The last message about why it waits."""
    told_at: float = 0.0

    @property
    def attempt(self) -> int:
        """Its number."""
        return self.assignment.attempt

    def outstanding(self, now: float) -> Outstanding:
        """As the release policy sees it."""
        started = self.where is not None and not self.waits
        return Outstanding(self.assignment.job_id, self.assignment.demand, started, now - self.released_at)

    def ask_to_stop(self, now: float) -> None:
        """Somebody cancelled it; asking twice gives no second grace."""
        if not self.stop_asked:
            self.stop_asked = True
            registers = self.committed or self.assignment.only_look
            self.kill_at = now + (COMMIT_GRACE_S if registers else CANCEL_GRACE_S)
            self.kill_reason = "cancel"

    def limit(self, left_s: float, budget_s: float, now: float) -> None:
        """Its time budget: `left_s` of it are left."""
        self.kill_at = now + left_s + BUDGET_GRACE_S + BUDGET_GRACE_SHARE * budget_s
        self.kill_reason = "time budget"

    def commit(self, now: float) -> None:
        """It begins to register."""
        self.committed = True
        if self.kill_at is not None:
            self.kill_at = max(self.kill_at, now + COMMIT_GRACE_S)

    def overdue(self, now: float) -> bool:
        """Whether it is to be killed now."""
        return self.killed_at is None and self.kill_at is not None and now >= self.kill_at

    def lost(self, dead: Collection[str], now: float) -> bool:
        """Whether its node has been dead for so long that nothing more is to be waited for."""
        if self.where is None or self.where.node_id not in dead:
            return False
        self.lost_at = now if self.lost_at is None else self.lost_at
        return now - self.lost_at > LOST_GRACE_S

    def given_up(self, now: float) -> bool:
        """Whether it was killed and Ray still says nothing."""
        return self.killed_at is not None and now - self.killed_at > KILL_TIMEOUT_S


@dataclass
class Flights:
    """All of them, in the order of release."""

    by_job: dict[str, Flight] = field(default_factory=dict)

    def add(self, flight: Flight) -> None:
        """A job has one at most: an older one has been superseded."""
        self.by_job.pop(flight.assignment.job_id, None)
        self.by_job[flight.assignment.job_id] = flight

    def find(self, job_id: str, attempt: int) -> Flight | None:
        """The attempt, if it is out."""
        flight = self.by_job.get(job_id)
        return flight if flight is not None and flight.attempt == attempt else None

    def remove(self, flight: Flight) -> None:
        """It is over."""
        if self.by_job.get(flight.assignment.job_id) is flight:
            del self.by_job[flight.assignment.job_id]
