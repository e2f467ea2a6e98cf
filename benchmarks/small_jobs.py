"""Small jobs on a warm service: against a cold plain script, one by one and a hundred at once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.report import Row, median_s, timed_s
from benchmarks.service import ROOT, Service, running_service

SCRIPT = ROOT / "benchmarks" / "plain_script.py"
DATA = ROOT / "examples" / "data" / "german_credit.csv"
IDLE_S = 300
JOBS = 100
SCRIPTS = 8


def script(folder: Path) -> None:
    """The plain script in a process of its own; its store and its models are in the folder."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    command = [sys.executable, SCRIPT, DATA, "creditability", "bad", store]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def hundred(service: Service) -> None:
    """A hundred jobs, submitted by eight clients, until the last is over."""
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: service.submit(split={"seed": number}), range(JOBS)))
    for job in jobs:
        service.wait(job["id"])


def rows(idle_s: float = IDLE_S) -> list[Row]:
    """Measures."""
    with tempfile.TemporaryDirectory(prefix="mts-plain-") as name:
        folder = Path(name)
        script(folder)  # makes the store: not part of the measure
        cold_s = median_s(lambda: script(folder), 3)
        with ThreadPoolExecutor(2) as pool:
            pair_s = timed_s(lambda: list(pool.map(lambda _: script(folder), range(SCRIPTS)))) / SCRIPTS
        with running_service() as service:
            service.run()
            warm_s = median_s(service.run, 5)
            all_s = timed_s(lambda: hundred(service))
            time.sleep(idle_s)
            idle_job_s = timed_s(service.run)
    minutes = f"after {idle_s / 60:g} idle minutes"
    return [
        Row("warm job / cold script", warm_s, cold_s, "s", 0.15, "median of 5 and of 3"),
        Row(f"the same {minutes}", idle_job_s, cold_s, "s", 0.15, "one job"),
        Row(f"{JOBS} jobs, each / scripts two at a time, each", all_s / JOBS, pair_s, "s", 0.2, f"{SCRIPTS} scripts"),
    ]
