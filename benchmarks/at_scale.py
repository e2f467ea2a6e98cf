"""The store and the dispatcher's policy at the size of a large installation, without Ray: what bends first.

`python -m benchmarks.at_scale --jobs 1000000 --nodes 1000` prints a table. Each figure is the median of several calls.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.many_jobs import insert_finished_jobs
from benchmarks.report import median_s, timed_s
from ray_app.dispatcher.capacity import Capacity, Demand, Room
from ray_app.dispatcher.controller import Controller
from ray_app.dispatcher.flights import Flight
from ray_app.dispatcher.messages import Assignment, Done, Report, Whereabouts
from ray_app.dispatcher.release import Candidate, Outstanding, choose, is_full
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import JobQuery, Progress
from ray_app.jobs.store import JobStore

REPEATS = 5
REPORTS = 5
WAITING = 1000
SPEC = {"name": "bench", "data": {"source": {"type": "file", "uri": "a.csv"}, "target": "y"}, "tags": {"team": "a"}}
RESULT = {"metrics": {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in "abcdefg"}}


def store_figures(jobs: int) -> dict[str, float]:
    """Seconds of each thing that the service does with a store of so many finished jobs; the last is GB on disk."""
    with tempfile.TemporaryDirectory(prefix="mts-scale-") as folder:
        path = Path(folder) / "jobs.db"
        with JobStore(f"sqlite:///{path}") as store:
            job, _ = store.create("train", "bench", SPEC, tags=SPEC["tags"])  # type: ignore[arg-type]
            attempt = store.assign_attempt(job.id)
            store.started(job.id, attempt)
            store.succeed(job.id, attempt, RESULT)
            insert_finished_jobs(path, jobs)
            calls: dict[str, Callable[[], object]] = {
                "submit": lambda: store.create("train", "bench", SPEC, tags=SPEC["tags"]),  # type: ignore[arg-type]
                "get": lambda: store.get(job.id),
                "first page": lambda: store.list(JobQuery()),
                "page by status and name": lambda: store.list(JobQuery(status=["SUCCEEDED"], name="bench")),  # type: ignore[list-item]
                "page by tag": lambda: store.list(JobQuery(tag="team=a")),
                "head of the queue": lambda: store.pending(50),
                "active jobs of a caller": lambda: store.active("team=a"),
                "counts for /metrics": store.counts,
                "health": store.health,
            }
            figures = {name: median_s(call, REPEATS) for name, call in calls.items()}
            figures["reopen"] = timed_s(lambda: JobStore(f"sqlite:///{path}").close())
        figures["size on disk, GB"] = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e9
    return figures


def policy_figures(nodes: int, cpus: int = 16) -> dict[str, float]:
    """Seconds of one decision with every CPU of so many nodes in use."""
    rooms = [Room(cpus=cpus)] * nodes
    one = Demand(cpus=1)
    running = [Outstanding(f"job_{number}", one, True, 0.0) for number in range(nodes * cpus)]
    candidates = [Candidate(f"next_{number}", one) for number in range(nodes * cpus + 20)]
    return {
        "is it full": median_s(lambda: is_full(running, rooms, ahead=4), REPEATS),
        "choose with an empty cluster": median_s(lambda: choose(candidates, [], rooms, ahead=4), REPEATS),
        "choose with one CPU free": median_s(lambda: choose(candidates[:20], running[1:], rooms, ahead=4), REPEATS),
    }


class FullCluster:
    """Implements ray_app.dispatcher.cluster.Cluster: so many nodes, which run nothing."""

    def __init__(self, nodes: int, cpus: int) -> None:
        self._capacity = Capacity((Room(cpus=cpus),) * nodes, (Room(cpus=1),))
        self.submitted: list[Assignment] = []

    def submit(self, assignment: Assignment) -> None:
        """Notes it."""
        self.submitted.append(assignment)

    def take_back(self, job_id: str, attempt: int) -> None:
        """Does nothing."""

    def kill(self, job_id: str, attempt: int, where: Whereabouts) -> None:
        """Does nothing."""

    def tidy(self, job_id: str, name: str) -> None:
        """Does nothing."""

    def capacity(self) -> Capacity:
        """Always the same."""
        return self._capacity

    def exit_detail(self, worker_id: str) -> str:
        """Nothing is known."""
        del worker_id
        return ""


def life_figures(nodes: int, cpus: int = 16) -> dict[str, float]:
    """Seconds of the one writer for a job, while it looks after all others of so many nodes."""
    cluster = FullCluster(nodes, cpus)
    here = Whereabouts(1, 0.0, "node", "worker")
    one = Demand(cpus=1)
    with tempfile.TemporaryDirectory(prefix="mts-scale-") as folder, JobStore(f"sqlite:///{folder}/jobs.db") as store:
        controller = Controller(
            store,
            cluster,
            JobLogs(Path(folder)),
            release_ahead=4,
            changed=lambda job_id, job: None,  # noqa: ARG005
        )
        for number in range(nodes * cpus - 1):
            running = Assignment(f"job_{number}", 1, "train", "bench", {}, one)
            controller.flights.add(Flight(running, released_at=0.0, where=here))

        for _ in range(WAITING):
            controller.submit("train", SPEC, None)

        def life() -> None:
            job, _ = controller.submit("train", SPEC, None)
            controller.step()
            job = store.get(cluster.submitted[-1].job_id)
            controller.attempts.begin(job.id, 1, here)
            for number in range(REPORTS):
                controller.attempts.report(job.id, 1, Report(Progress(phase="fit", fraction=number / REPORTS)))
            controller.attempts.finish(job.id, 1, Done(RESULT), Report(Progress(phase="register")))

        return {
            f"a job from submission to its end, {REPORTS} reports": median_s(life, REPEATS),
            "a step with nothing to do": median_s(controller.step, REPEATS),
        }


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="at_scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=1000)
    options = parser.parse_args()
    started = time.monotonic()
    sizes = sorted({options.jobs // 100, options.jobs // 10, options.jobs})
    by_size = [store_figures(size) for size in sizes]
    table = Table("store: seconds", *(f"{size:,} jobs" for size in sizes))
    for name in by_size[0]:
        table.add_row(name, *(f"{figures[name]:.4f}" for figures in by_size))
    nodes = sorted({max(1, options.nodes // 100), max(1, options.nodes // 10), options.nodes})
    by_nodes = [policy_figures(count) | life_figures(count) for count in nodes]
    policy = Table("dispatcher: seconds", *(f"{count:,} nodes of 16 CPUs" for count in nodes))
    for name in by_nodes[0]:
        policy.add_row(name, *(f"{figures[name]:.4f}" for figures in by_nodes))
    console = Console(width=140)
    console.print(table, policy)
    console.print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
