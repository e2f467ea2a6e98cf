"""The dispatcher's memory over many jobs: real Ray, real store, real events; the jobs themselves do nothing.

`python -m benchmarks.dispatcher_memory --jobs 10000` prints the resident memory after each thousand, and how long each
took. What jobs keep in the dispatcher must go with them: the line must stay flat after the first thousands.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import ray
from rich.console import Console
from rich.table import Table

from ray_app.dispatcher import connect
from ray_app.dispatcher.client import DispatcherClient
from ray_app.dispatcher.memory import PAUSE_S
from ray_app.dispatcher.messages import Assignment, Place
from ray_app.settings import Settings
from training.events import Observer

RUNNER = "benchmarks.dispatcher_memory:IdleRunner"
WAVE = 1000
AT_ONCE = 100
"""Jobs of a wave that wait or run at the same time."""
METRICS = {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in "abcdefg"}


class IdleRunner:
    """Implements ray_app.dispatcher.runner.Runner: reports as a short training does, and gives a result of its size."""

    def run(
        self, assignment: Assignment, place: Place, observer: Observer, commit: Callable[[], None]
    ) -> dict[str, Any]:
        """Says what a training says."""
        del place
        for phase in ("load", "check", "fit", "evaluate", "register"):
            observer.phase(phase)  # type: ignore[arg-type]  # one of the literals
            observer.metrics({"validation/log_loss": 0.5}, 1)
            observer.log(f"{assignment.job_id} {phase}")
        commit()
        return {"run_id": "r", "metrics": METRICS, "timings": {"fit_s": 0.01}, "data": {"train_rows": 640}}

    def rehearse(self, place: Place) -> None:
        """Has nothing to import."""

    def registered(self, assignment: Assignment, place: Place) -> dict[str, Any] | None:
        """Registers nothing."""

    def tidy(self, job_id: str, name: str, place: Place) -> None:
        """Leaves nothing."""


def dispatcher_process() -> psutil.Process:
    """The actor's."""
    everyone = psutil.Process().children(recursive=True)
    return next(one for one in everyone if "DispatcherActor" in " ".join(one.cmdline()))


async def wave(jobs: DispatcherClient, number: int, count: int) -> None:
    """So many jobs, each with a follower until it is over."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        async with room:
            spec = {"name": f"job-{index % 20}", "tags": {"wave": str(number)}, "max_retries": 2}
            job, _ = await jobs.submit("train", spec, idempotency_key=f"{number}-{index}")
            done = job
            while not done.status.final:
                done = await jobs.get(job.id, wait_s=60)
            if done.status != "SUCCEEDED":
                raise RuntimeError(f"{job.id} is {done.status}: {done.error}")

    await asyncio.gather(*(one(index) for index in range(count)))


async def measure(jobs: DispatcherClient, count: int) -> list[tuple[int, float, float]]:
    """Jobs so far, MB, seconds of the last wave."""
    process = dispatcher_process()
    found = [(0, process.memory_info().rss / 1e6, 0.0)]
    for number in range(count // WAVE):
        started = time.monotonic()
        await wave(jobs, number, WAVE)
        took_s = time.monotonic() - started
        await asyncio.sleep(PAUSE_S + 1)  # what is free has been given back by then
        found.append(((number + 1) * WAVE, process.memory_info().rss / 1e6, took_s))
        print(*found[-1], flush=True)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="dispatcher_memory", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
    with tempfile.TemporaryDirectory(prefix="mts-memory-") as folder:
        ray.init(num_cpus=2, namespace="bench", include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        try:
            settings = Settings(home=Path(folder) / "home", data_roots=(folder,), _env_file=None)
            found = asyncio.run(measure(connect(settings, runner=RUNNER), options.jobs))
        finally:
            ray.shutdown()
    table = Table("jobs", "dispatcher, MB", "jobs a minute")
    for jobs, megabytes, took_s in found:
        table.add_row(f"{jobs:,}", f"{megabytes:.0f}", f"{WAVE / took_s * 60:,.0f}" if took_s else "")
    Console().print(table)
    half = found[len(found) // 2]
    grown = (found[-1][1] - half[1]) / max(1, found[-1][0] - half[0]) * 1000
    print(f"in the second half it grew by {grown:.2f} MB for each 1,000 jobs")


if __name__ == "__main__":
    main()
