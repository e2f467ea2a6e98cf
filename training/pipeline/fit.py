"""The stage that fits: from checked rows to a fitted model."""

from __future__ import annotations

from training.models import FitContext, FitData, FittedModel, family_of
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts


def fit_model(job: Job, checked: Checked, parts: Parts) -> FittedModel:
    """Fits what the spec asks for, on the train rows, steered by the validation rows.

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
    data = FitData(schema=checked.schema, train=parts.train, validation=parts.validation)
    return family_of(spec.model).fit(spec.model, data, context)
