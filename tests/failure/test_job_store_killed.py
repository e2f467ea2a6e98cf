"""A process that writes the job store is killed in the middle of it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from ray_app.jobs.model import Job, JobQuery, JobStatus
from ray_app.jobs.store import JobStore

WRITE = """
import itertools, sys
from ray_app.jobs.model import JobError, Progress
from ray_app.jobs.store import JobStore

store = JobStore(sys.argv[1])
for number in itertools.count():
    key = f"{sys.argv[2]}-{number}"
    job, _ = store.create("train", "a", {"number": number}, tags={"n": str(number)}, idempotency_key=key)
    print("PENDING", job.id, flush=True)
    attempt = store.assign_attempt(job.id)
    store.started(job.id, attempt)
    print("RUNNING", job.id, flush=True)
    store.report(job.id, attempt, progress=Progress(phase="fit"), events=[("metrics", {"step": s}) for s in range(5)])
    if number % 3 == 1:
        store.requeue(job.id, attempt, reason="lost", count="platform")
        print("PENDING", job.id, flush=True)
    else:
        store.succeed(job.id, attempt, {"number": number})
        print("SUCCEEDED", job.id, flush=True)
"""
ANSWERS_BEFORE_THE_KILL = (7, 22, 40)


@pytest.mark.slow
def test_what_was_answered_before_the_kill_holds_and_nothing_is_half_written(store_url: str) -> None:
    known: dict[str, Job] = {}
    for round_, answers in enumerate(ANSWERS_BEFORE_THE_KILL):
        answered = write_until_killed(store_url, round_, answers)
        with JobStore(store_url) as store:
            stored = all_jobs(store)
            assert {job_id: stored[job_id] for job_id in known} == known, "the rounds before"
            *settled, last = answered
            assert {job_id: stored[job_id].status.value for job_id in settled} == {
                job_id: answered[job_id] for job_id in settled
            }
            assert last in stored, "it may have gone on without being able to say so"
            assert len(stored) - len(known) - len(answered) in {0, 1}, "one may have been stored and not answered"
            for job in stored.values():
                check(store, job)
            assert sum(store.counts().values()) == len(stored)
        known = stored


def write_until_killed(url: str, round_: int, answers: int) -> dict[str, str]:
    """Lets a process write until it has given so many answers, and kills it; the last status told of each job."""
    command = [sys.executable, "-c", WRITE, url, str(round_)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(answers)]
        writer.kill()
        lines += [line for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    told = (line.split() for line in lines)
    return {job_id: status for status, job_id in told}


def all_jobs(store: JobStore) -> dict[str, Job]:
    stored: dict[str, Job] = {}
    cursor: str | None = None
    while True:
        page = store.list(JobQuery(limit=200, cursor=cursor))
        stored |= {job.id: job for job in page.items}
        cursor = page.next_cursor
        if cursor is None:
            return stored


def check(store: JobStore, job: Job) -> None:
    events = store.events(job.id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.data["status"] for event in events if event.type == "state"][-1] == job.status
    assert sum(event.type == "metrics" for event in events) in {0, 5}, "a report is stored whole or not at all"
    assert (job.result is not None) == (job.status is JobStatus.SUCCEEDED)
    tagged = store.list(JobQuery(tag=f"n={job.spec['number']}", limit=200)).items
    assert job in tagged
