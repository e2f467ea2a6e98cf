"""Several processes on one store."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ray_app.jobs.model import JobQuery
from ray_app.jobs.store import JobStore

CREATE = """
import json, sys
from ray_app.jobs.store import JobStore
with JobStore(sys.argv[1]) as store:
    print("ready", flush=True)
    for line in sys.stdin:
        job, new = store.create("train", "a", {"seed": 1}, idempotency_key=line.strip())
        print(json.dumps([job.id, new]), flush=True)
"""
ROUNDS = 20


class Creator:
    """Another process that creates a job for each key that it is told."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CREATE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready\n"

    def tell(self, key: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(key + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        return json.loads(self._line())

    def close(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.mark.slow
def test_equal_keys_from_two_processes_at_once_are_one_job(store_url: str) -> None:
    creators = [Creator(store_url), Creator(store_url)]
    for round_ in range(ROUNDS):
        for creator in creators:
            creator.tell(f"key-{round_}")
        (one, one_is_new), (other, other_is_new) = [creator.answer() for creator in creators]
        assert one == other
        assert [one_is_new, other_is_new].count(True) == 1
    for creator in creators:
        creator.close()
    with JobStore(store_url) as store:
        assert len(store.list(JobQuery()).items) == ROUNDS
