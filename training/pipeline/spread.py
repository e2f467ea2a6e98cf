"""How the fits of a job are spread over workers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.distributed import Spread
from training.pipeline.job import Job


@contextmanager
def spread_of(job: Job) -> Iterator[Spread]:
    """How a fit is spread, with a folder that all workers see: that of the checkpoints where there is one."""
    resources = job.spec.resources
    with tempfile.TemporaryDirectory(prefix="mts-fit-") as temporary:
        yield Spread(
            num_workers=(resources.min_workers, resources.max_workers),
            cpus=resources.cpus_per_worker,
            gpus=resources.gpus_per_worker,
            memory_mb=resources.memory_mb,
            label=f"train:{job.spec.name}:{job.id}",
            folder=job.checkpoints or Path(temporary),
            max_restarts=job.spec.max_retries,
        )
