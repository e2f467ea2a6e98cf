"""The stage that fits: from checked rows to a fitted model."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.distributed import Spread, engine_of
from training.models import FitContext, FitData, FittedModel
from training.models.calibration import CalibrationChoice, calibrated, with_held_out
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.pipeline.structure import structure_of

logger = logging.getLogger("training")


def fit_model(job: Job, checked: Checked, parts: Parts) -> tuple[FittedModel, CalibrationChoice | None]:
    """Fits what the spec asks for, on the train rows, steered by the validation rows, and corrects its probabilities.

    Raises:
        FitError: the estimator failed on valid data.
        JobCancelledError: somebody asked the job to stop.
    """
    spec = job.spec
    context = FitContext(
        seed=spec.split.seed,
        cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker,
        observer=job.watch.observer,
        deadline=job.deadline,
        checkpoint_folder=job.checkpoints,
    )
    data = FitData(checked.schema, parts.train, parts.validation, structure_of(checked, spec))
    with _spread(job) as spread:
        fitted = with_held_out(engine_of(spec).fit(spec.model, data, context, spread), data)
    found, choice = calibrated(fitted, spec.split.seed)
    if choice is not None:
        logger.info("calibration: %s: %s", choice.calibration.method if choice.calibration else "none", choice.reason)
    return found, choice


@contextmanager
def _spread(job: Job) -> Iterator[Spread]:
    """How the fit is spread, with a folder that all workers see: that of the checkpoints where there is one."""
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
