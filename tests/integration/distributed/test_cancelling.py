"""Tasks cancelled just as they end: the process that made them lives on."""

from __future__ import annotations

import subprocess
import sys

import pytest
from dispatcher_cluster import cluster_environment

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROUNDS = 400
"""`ray.cancel` from this thread ended the process within 150, each time that it was tried."""
MAKER = f"""
import random, signal, time
import ray
from training.releasing import cancel

@ray.remote(max_retries=0)
def busy(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass

# a shell's background job ignores it, and so would Ray's workers, which Ray interrupts by it
signal.signal(signal.SIGINT, signal.default_int_handler)
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
draw = random.Random(0)
ended = {{"done": 0, "cancelled": 0}}
for _ in range({ROUNDS}):
    tasks = [busy.remote(draw.choice([0, 0.001, 0.005])) for _ in range(3)]
    time.sleep(draw.choice([0, 0.001, 0.002, 0.004, 0.006, 0.01]))
    for task in tasks:
        cancel(task)
    for task in tasks:
        try:
            ray.get(task, timeout=60)
            ended["done"] += 1
        except ray.exceptions.TaskCancelledError:
            ended["cancelled"] += 1
assert min(ended.values()) > 0, ended
print("lives")
"""


def test_who_cancels_tasks_that_just_end_lives_on() -> None:
    with cluster_environment():
        made = subprocess.run([sys.executable, "-c", MAKER], capture_output=True, text=True, timeout=240, check=False)
    assert made.stdout.strip() == "lives", made.stderr[-2000:]
