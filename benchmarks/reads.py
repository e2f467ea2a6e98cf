"""Reading jobs while both cores train, and listing jobs when there are very many."""

from __future__ import annotations

import threading
import time

from benchmarks.many_jobs import insert_finished_jobs
from benchmarks.report import Row, median_s, percentile
from benchmarks.service import Service, running_service

READS = 500
MANY = 100_000
FEW = 100
LONG = {"family": "xgboost", "params": {"n_estimators": 100_000, "early_stopping_rounds": 0, "learning_rate": 1e-5}}


def read_times_s(service: Service, job_id: str) -> list[float]:
    """Seconds of each GET /jobs/{id}."""
    times = []
    for _ in range(READS):
        started = time.perf_counter()
        service.http.get(f"/api/v1/jobs/{job_id}").raise_for_status()
        times.append(time.perf_counter() - started)
    return times


def busy_reads_s(service: Service) -> list[float]:
    """Reads while two long fits hold both cores."""
    jobs = [service.submit(model=LONG, split={"seed": seed})["id"] for seed in (1, 2)]
    running = threading.Event()
    while not running.is_set():
        states = [service.http.get(f"/api/v1/jobs/{job}").json()["progress"]["phase"] for job in jobs]
        if states == ["fit", "fit"]:
            running.set()
    times = read_times_s(service, jobs[0])
    for job in jobs:
        service.http.post(f"/api/v1/jobs/{job}/cancel").raise_for_status()
    return times


def page_s(service: Service) -> float:
    """Median seconds of one page."""
    return median_s(lambda: service.http.get("/api/v1/jobs", params={"limit": 50}).raise_for_status(), 30)


def rows() -> list[Row]:
    """Measures."""
    with running_service() as service:
        service.run()
        busy = busy_reads_s(service)
        insert_finished_jobs(service.home / "jobs.db", FEW)
        few_s = page_s(service)
        insert_finished_jobs(service.home / "jobs.db", MANY)
        many_s = page_s(service)
    return [
        Row(
            "GET /jobs/{id} while both cores train, p99",
            percentile(busy, 0.99),
            None,
            "s",
            0.1,
            f"p50 {percentile(busy, 0.5):.3f} s",
        ),
        Row(f"a page of {MANY:,} jobs / of {FEW}", many_s, few_s, "s", 2.0, "median of 30"),
    ]
