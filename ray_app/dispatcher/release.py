"""Which pending jobs to hand to Ray now: a policy that only decides; the controller acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ray_app.dispatcher.capacity import Demand, Room, place

PATIENCE_S = 60.0
"""A released job that has waited this long is no longer overtaken by smaller ones: the cluster drains until it fits."""


@dataclass(frozen=True)
class Candidate:
    """A pending job; candidates come by priority, then by age."""

    job_id: str
    demand: Demand


@dataclass(frozen=True)
class Outstanding:
    """A job that Ray has, in the order of release."""

    job_id: str
    demand: Demand
    started: bool
    waited_s: float
    """Since its release; of no meaning once it has started."""


def choose(
    candidates: Sequence[Candidate], outstanding: Sequence[Outstanding], nodes: Sequence[Room], *, ahead: int
) -> list[str]:
    """Jobs to release, in order: those that fit beside what is out already, and up to `ahead` that have to wait.

    What waits in Ray is what an autoscaler sees; it is also what a later job of higher priority cannot overtake, so
    `ahead` is small. Jobs that fit may pass one that does not (backfill), until that one has waited PATIENCE_S. What
    only a node still to be started can hold never holds up the rest.
    """
    rooms = list(nodes)
    waiting = 0
    for job in _started_first(outstanding):
        if not place(rooms, job.demand) and not job.started:
            waiting += 1
            if job.waited_s > PATIENCE_S and place(list(nodes), job.demand):
                return []
    chosen = []
    for candidate in candidates:
        if not place(rooms, candidate.demand):
            if waiting >= ahead:
                continue
            waiting += 1
        chosen.append(candidate.job_id)
    return chosen


def is_full(outstanding: Sequence[Outstanding], nodes: Sequence[Room], *, ahead: int) -> bool:
    """Whether nothing can be released, whatever is pending: every CPU is spoken for, and enough waits already."""
    rooms = list(nodes)
    waiting = sum(not place(rooms, job.demand) and not job.started for job in _started_first(outstanding))
    return waiting >= ahead and not any(room.cpus >= 1 for room in rooms)


def _started_first(outstanding: Sequence[Outstanding]) -> list[Outstanding]:
    return sorted(outstanding, key=lambda job: not job.started)
