"""A cluster that runs nothing: what the controller asked for is seen, what happens is done by the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ray_app.dispatcher.capacity import Capacity, Room
from ray_app.dispatcher.messages import Assignment, TaskEnd, Whereabouts

HERE = Whereabouts(pid=1, started_s=0.0, node_id="node", worker_id="worker")


@dataclass
class FakeCluster:
    """Implements ray_app.dispatcher.cluster.Cluster."""

    nodes: tuple[Room, ...] = (Room(cpus=2),)
    node_types: tuple[Room, ...] = ()
    free_cpus: float = 2
    submitted: list[Assignment] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    tidied: list[str] = field(default_factory=list)
    detail: str = ""
    dead: frozenset[str] = frozenset()

    def submit(self, assignment: Assignment) -> None:
        self.submitted.append(assignment)

    def take_back(self, job_id: str, attempt: int) -> None:
        self.taken_back.append(job_id)

    def kill(self, job_id: str, attempt: int, where: Whereabouts) -> None:
        self.killed.append(job_id)

    def tidy(self, job_id: str, name: str) -> None:
        self.tidied.append(job_id)

    def capacity(self) -> Capacity:
        return Capacity(self.nodes, (Room(cpus=self.free_cpus),), self.node_types, self.dead)

    def exit_detail(self, worker_id: str) -> str:
        return self.detail


def made_by(cluster: FakeCluster) -> Callable[[Callable[[TaskEnd], None]], FakeCluster]:
    """For the Dispatcher, which hands over what hears the end of a task."""
    return lambda _ended: cluster
