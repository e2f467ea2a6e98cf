"""The stage that fits: from checked rows to a fitted model."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from training.distributed import engine_of
from training.distributed.fit_tasks import ray_fits
from training.evaluation.report import Study
from training.models import FitContext, FitData, FittedModel
from training.models.calibration import CalibrationChoice, calibrated, with_held_out
from training.models.parallel import FitRunner
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.pipeline.spread import spread_of
from training.pipeline.structure import structure_of
from training.pipeline.time_kept import RestOfJob, fit_deadline
from training.spec import TrainSpec

logger = logging.getLogger("training")

OF_SEVERAL_FITS = frozenset({"hybrid", "auto"})


@dataclass(frozen=True)
class Fit:
    """What the stage gives; `study` is the search that came first, where the spec has one."""

    model: FittedModel
    calibration: CalibrationChoice | None
    study: Study | None = None


def fit_model(job: Job, checked: Checked, parts: Parts) -> Fit:
    """Fits what the spec asks for, on the train rows, steered by the validation rows, or searches first; and corrects
    its probabilities.

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
        deadline=fit_deadline(job, len(parts.test)),
        checkpoint_folder=job.checkpoints,
        runner=_runner(spec),
        rest_of_job_s=RestOfJob(job, checked, parts),
    )
    data = FitData(checked.schema, parts.train, parts.validation, structure_of(checked, spec))
    study = None
    if spec.tune is not None:
        # Ray Tune and Optuna take a second to import: whoever trains without a search must not wait for them
        from training.pipeline.tune import tune_model  # noqa: PLC0415

        fitted, study = tune_model(job, checked, data, context)
    else:
        fitted = _fit_once(job, data, context)
    found, choice = calibrated(fitted, spec.split.seed)
    if choice is not None:
        logger.info("calibration: %s: %s", choice.calibration.method if choice.calibration else "none", choice.reason)
    return Fit(found, choice, study)


def _fit_once(job: Job, data: FitData, context: FitContext) -> FittedModel:
    spec = job.spec
    with spread_of(job) as spread:
        return with_held_out(engine_of(spec).fit(spec.model, data, context, spread), data)


def _runner(spec: TrainSpec) -> FitRunner | None:
    """Ray tasks where the job has more than one CPU for its several fits; never more CPUs than it was given."""
    resources = spec.resources
    if spec.model.family not in OF_SEVERAL_FITS or resources.gpus_per_worker:
        return None
    return ray_fits(resources.max_workers * resources.cpus_per_worker)
