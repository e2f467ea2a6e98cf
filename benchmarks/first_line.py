"""From the request to the first line of the fit: ours, a stock Ray Train trainer, and `ray job submit`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import Row, percentile
from benchmarks.service import Service, running_service

TRAINER = """
import sys, time, ray
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer
ray.init(log_to_driver=False, logging_level="ERROR")
def loop():
    import pathlib
    pathlib.Path(MARK).write_text(str(time.time()))
MARK = sys.argv[1]
begun = time.time()
TorchTrainer(loop, scaling_config=ScalingConfig(num_workers=1)).fit()
print("SECONDS", float(open(MARK).read()) - begun)
"""
OURS = 21
STOCK = 3


def trainer_s(service: Service) -> float:
    """A stock TorchTrainer with one worker on the same cluster: from fit() to the first line of its loop."""
    mark = service.home / "first_line"
    script = service.home / "trainer.py"
    script.write_text(TRAINER)
    answer = subprocess.run(
        [sys.executable, script, mark],
        env=cluster_environment(service),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout.split("SECONDS")[1])


def job_submit_s(service: Service) -> float:
    """`ray job submit` of a driver that only writes down when it begins."""
    mark = service.home / "submitted"
    ray = Path(sys.executable).with_name("ray")
    begun = time.time()
    subprocess.run(
        [ray, "job", "submit", "--", sys.executable, "-c",
         f"import time, pathlib; pathlib.Path({str(mark)!r}).write_text(str(time.time()))"],
        env=cluster_environment(service), capture_output=True, check=True,
    )  # fmt: skip
    return float(mark.read_text()) - begun


def cluster_environment(service: Service) -> dict[str, str]:
    """What `mts env` tells a shell to export."""
    mts = Path(sys.executable).with_name("mts")
    answer = subprocess.run(
        [mts, "env", "--json"], env=service.environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    return service.environment | dict(json.loads(answer.stdout))


def rows() -> list[Row]:
    """Measures."""
    with running_service() as service:
        service.run()
        ours = [service.seconds_to_fit() for _ in range(OURS)]
        stock_s = statistics.median(trainer_s(service) for _ in range(STOCK))
        submit_s = statistics.median(job_submit_s(service) for _ in range(STOCK))
    half_s = percentile(ours, 0.5)
    return [
        Row("POST /train to the first line of the fit, p50", half_s, None, "s", 0.3, f"{OURS} jobs"),
        Row("the same / stock TorchTrainer, one worker", half_s, stock_s, "s", 0.1, f"median of {STOCK}"),
        Row("the same / ray job submit", half_s, submit_s, "s", 0.25, f"median of {STOCK}"),
    ]
