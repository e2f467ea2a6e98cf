"""The stage that fits: from checked rows to a fitted model."""

from __future__ import annotations

from training.models import FitContext, FitData, family_of
from training.pipeline.fitted import Fit
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts


def fit_model(job: Job, checked: Checked, parts: Parts) -> Fit:
    """Fits what the spec asks for, on the train rows, steered by the validation rows, or searches first.

    Raises:
        FitError: the estimator failed on valid data.
        JobCancelledError: somebody asked the job to stop.
    """
    spec = job.spec
    if spec.tune is not None:
        # Ray Tune and Optuna take a second to import: whoever trains without a search must not wait for them
        from training.pipeline.tune import tune_model  # noqa: PLC0415

        return tune_model(job, checked, parts)
    context = FitContext(
        seed=spec.split.seed,
        cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker,
        observer=job.watch.observer,
        deadline=job.deadline,
        checkpoint_folder=job.checkpoints,
    )
    data = FitData(schema=checked.schema, train=parts.train, validation=parts.validation)
    return Fit(family_of(spec.model).fit(spec.model, data, context))
