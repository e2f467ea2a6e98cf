"""An earlier job, done again from its snapshot; nothing is registered."""

from __future__ import annotations

from training.events import Observer, Observers, logging_to
from training.pipeline.job import Job
from training.pipeline.train import measure
from training.pipeline.workplace import Stopwatch, Workplace
from training.result import MetricDifference, ReproductionResult
from training.spec import ReproduceSpec


def reproduce(spec: ReproduceSpec, workplace: Workplace, observer: Observer, *, job_id: str) -> ReproductionResult:
    """Fits and measures as the earlier job did, on the very same rows, and says how much each metric differs.

    With one worker the differences are zero; several workers, and GPUs, add numbers in an order of their own. A search
    begins as the earlier one did and not with what has been learnt since; with one trial at a time it is the same
    search, with several what is proposed depends on which trial ends first.

    Raises:
        TrainingError: any of its kinds, as the earlier job might have.
    """
    workplace.check_checkpoints()
    train = spec.train
    with workplace.registry.start_run(train.name, job_id, train) as tracker:
        everyone = Observers([observer, tracker])
        with logging_to(everyone):
            watch = Stopwatch(everyone)
            job = Job(job_id, train, workplace, tracker, watch, deadline=None, started_from=spec.started_from)
            measured = measure(job)
    found = {name: interval.value for name, interval in measured.assessment.metrics.items()}
    metrics = {name: _difference(spec.metrics.get(name), found.get(name)) for name in {**spec.metrics, **found}}
    return ReproductionResult(
        job_id=spec.job_id,
        data_sha256=measured.checked.dataset.sha256,
        identical=all(one.original == one.reproduced for one in metrics.values()),
        metrics=metrics,
        run_id=tracker.run_id,
        timings=watch.timings,
    )


def _difference(original: float | None, reproduced: float | None) -> MetricDifference:
    difference = None if original is None or reproduced is None else reproduced - original
    return MetricDifference(original=original, reproduced=reproduced, difference=difference)
