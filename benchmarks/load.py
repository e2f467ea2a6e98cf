"""Many callers at once: jobs queued by twenty clients, two hundred readers, followers of events; nothing may be lost.

`python -m benchmarks.load --jobs 1000` prints what callers saw and what the dispatcher's memory did.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks.report import percentile
from benchmarks.service import FINAL, Service, running_service

CLIENTS, READERS, FOLLOWERS = 20, 200, 50
POLL_S = 2.0
PAGE = 200
PARTS = (
    "ProxyActor",
    "ServeReplica",
    "DispatcherActor",
    "ServeController",
    "raylet",
    "gcs_server",
    "train:",
    "ray::IDLE",
)
"""Processes whose share of the machine is told, by a word of their title."""
ROWS = [{"x": index % 17, "k": "abc"[index % 3], "y": "ab"[index // 3 % 2]} for index in range(60)]
SPEC: dict[str, Any] = {
    "name": "load",
    "data": {"source": {"type": "inline", "rows": ROWS}, "target": "y"},
    "model": {"family": "sklearn", "estimator": "logistic_regression"},
    "evaluation": {"bootstrap_samples": 10},
    "promotion": {"policy": "never"},
}


@dataclass
class Seen:
    """What callers saw."""

    submit_s: list[float] = field(default_factory=list)
    read_s: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    followed: int = 0
    submitting_s: float = 0.0
    """From the first submission to the last answer."""
    spent_s: Counter[str] = field(default_factory=Counter)
    """Processor time of that time, by part of the service."""


async def submit_all(http: httpx.AsyncClient, number: int, jobs: int, seen: Seen) -> None:
    """One client: posts its jobs, and comes back after Retry-After where it is told to."""
    for job in range(jobs):
        key = f"load-{number}-{job}"
        while True:
            started = time.perf_counter()
            answer = await http.post("/api/v1/train", json=SPEC, headers={"Idempotency-Key": key})
            seen.answers[f"POST {answer.status_code}"] += 1
            if answer.status_code == httpx.codes.ACCEPTED:
                seen.submit_s.append(time.perf_counter() - started)
                seen.accepted.append(answer.json()["id"])
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))


async def read_on(http: httpx.AsyncClient, seen: Seen, over: asyncio.Event, pause_s: float) -> None:
    """One reader: looks at some job, and then at nothing for `pause_s` on average."""
    while not over.is_set():
        await asyncio.sleep(random.uniform(0, 2 * pause_s))
        if seen.accepted:
            started = time.perf_counter()
            answer = await http.get(f"/api/v1/jobs/{random.choice(seen.accepted)}")
            seen.answers[f"GET {answer.status_code}"] += 1
            seen.read_s.append(time.perf_counter() - started)


async def follow(http: httpx.AsyncClient, job_id: str, seen: Seen) -> None:
    """One follower: reads the events of a job to their end."""
    async with http.stream("GET", f"/api/v1/jobs/{job_id}/events", timeout=None) as answer:
        lines = [line async for line in answer.aiter_lines()]
    seen.followed += any(f'"status":"{state}"' in line for line in lines for state in FINAL)


async def until_over(http: httpx.AsyncClient) -> list[str]:
    """Waits until no job waits or runs; answers those that did not succeed."""
    while True:
        answer = await http.get("/api/v1/jobs", params={"status": ["PENDING", "RUNNING"], "limit": 1})
        if answer.is_success and not answer.json()["items"]:
            break
        await asyncio.sleep(POLL_S)
    wrong, cursor = [], ""
    while True:
        page = (await http.get("/api/v1/jobs", params={"limit": PAGE} | ({"cursor": cursor} if cursor else {}))).json()
        wrong += [f"{job['id']} {job['status']}" for job in page["items"] if job["status"] != "SUCCEEDED"]
        cursor = page["next_cursor"]
        if not cursor:
            return wrong


async def run(service: Service, jobs: int, pause_s: float) -> tuple[Seen, float, list[str]]:
    """The load; answers what was seen, the seconds until all jobs were over, and jobs that did not succeed."""
    seen, over = Seen(), asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=str(service.http.base_url), timeout=120, limits=limits) as http:
        readers = [asyncio.create_task(read_on(http, seen, over, pause_s)) for _ in range(READERS)]
        before_s, started = used_s(service), time.perf_counter()
        await asyncio.gather(*(submit_all(http, number, jobs // CLIENTS, seen) for number in range(CLIENTS)))
        seen.submitting_s = time.perf_counter() - started
        seen.spent_s = used_s(service) - before_s
        print(f"all accepted after {seen.submitting_s:.0f} s; they are trained now", flush=True)
        followers = [asyncio.create_task(follow(http, job_id, seen)) for job_id in seen.accepted[-FOLLOWERS:]]
        wrong = await until_over(http)
        took_s = time.perf_counter() - started
        await asyncio.gather(*followers)
        over.set()
        await asyncio.gather(*readers)
    return seen, took_s, wrong


def dispatcher_mb(service: Service) -> float:
    """Resident memory of the dispatcher."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::DispatcherActor"):
            try:
                if process.environ().get("MTS_HOME") == str(service.home):
                    return process.memory_info().rss / 1e6
            except psutil.AccessDenied:
                print("the dispatcher belongs to another user")
    raise RuntimeError("no dispatcher runs")


def used_s(service: Service) -> Counter[str]:
    """Seconds of processor time so far, by part of the service; "this program" makes the load."""
    found: Counter[str] = Counter({"this program": sum(psutil.Process().cpu_times()[:2])})
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or [])
        part = next((word for word in PARTS if word in title), None)
        try:
            if part is not None and process.environ().get("MTS_HOME") in {str(service.home), None}:
                found[part] += sum(process.cpu_times()[:2])
        except (psutil.NoSuchProcess, psutil.AccessDenied) as error:
            print(f"{part}: {error}")
    return found


def main() -> None:
    """Prints the figures."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the service is ended with us
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--pause-s", type=float, default=1.0, help="of a reader, on average, between two reads")
    options = parser.parse_args()
    with running_service() as service:
        service.run()
        before_mb, before_s = dispatcher_mb(service), used_s(service)
        seen, took_s, wrong = asyncio.run(run(service, options.jobs, options.pause_s))
        after_mb, spent_s = dispatcher_mb(service), used_s(service) - before_s
    print(f"{len(seen.accepted)} jobs accepted, {len(set(seen.accepted))} different")
    print(f"{len(wrong)} did not succeed: {wrong[:5]}")
    print(f"all over after {took_s:.0f} s: {len(seen.accepted) / took_s * 60:.0f} jobs a minute")
    for name, values in (("submit", seen.submit_s), ("read", seen.read_s)):
        marks = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        shares = ", ".join(f"{mark} {percentile(values, share):.3f} s" for mark, share in marks.items())
        print(f"{name}: {len(values)} answers, {shares}")
    print(f"{seen.followed} of {FOLLOWERS} followers heard the end; answers: {dict(seen.answers)}")
    for when, seconds, of_s in (("all the time", spent_s, took_s), ("submission", seen.spent_s, seen.submitting_s)):
        shares = ", ".join(f"{name} {used / of_s:.2f}" for name, used in seconds.most_common())
        print(f"processors in use in {when}, {of_s:.0f} s, of {psutil.cpu_count()}: {shares}")
    print(f"dispatcher: {before_mb:.0f} MB before, {after_mb:.0f} MB after")


if __name__ == "__main__":
    main()
