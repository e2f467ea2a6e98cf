"""A training job from its spec to a registered version."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from training import evaluation
from training.data.memory import give_back
from training.evaluation.report import Study
from training.events import Observer, Observers, logging_to
from training.models.calibration import CalibrationChoice
from training.mts_scoring.model import ScoringModel
from training.pipeline.assess import Assessment, assess, scoring_model
from training.pipeline.cross_validation import cross_validate
from training.pipeline.describe import describe
from training.pipeline.findings import stop_on
from training.pipeline.fit import fit_model
from training.pipeline.job import Job
from training.pipeline.leaderboard import Standing, calibration_report
from training.pipeline.learning_curve import learning_curve
from training.pipeline.patience import once_back
from training.pipeline.prepare import Checked, Parts, inspect, partition
from training.pipeline.register import register
from training.pipeline.take import refuse_sample, take_rows
from training.pipeline.workplace import Stopwatch, Workplace
from training.registry.wandb_mirror import WandbMirror
from training.result import GateVerdict, TrainResult, VersionReference
from training.spec import TrainSpec

logger = logging.getLogger("training")


def _always() -> None:
    """The commit of a job that nobody else can run."""


def run(
    spec: TrainSpec,
    workplace: Workplace,
    observer: Observer,
    *,
    job_id: str,
    commit: Callable[[], None] = _always,
) -> TrainResult:
    """Runs a training job.

    Args:
        spec: what to train.
        workplace: what may be read, where to register.
        observer: hears of phases, progress and metrics.
        job_id: the same id never registers two versions, however often it runs.
        commit: called right before the version is registered; raises when this attempt has been superseded.

    Raises:
        TrainingError: any of its kinds; then no version was registered.
    """
    workplace.check_checkpoints()
    deadline = time.monotonic() + spec.time_budget_s if spec.time_budget_s else None
    with (
        workplace.registry.start_run(spec.name, job_id, spec) as tracker,
        # until the mirrors are closed: they say then what went wrong
        logging_to(Observers([observer, tracker])),
        ExitStack() as open_mirrors,
    ):
        wandb = spec.tracking.wandb
        mirrors = [] if wandb is None else [open_mirrors.enter_context(WandbMirror(wandb, spec, tracker))]
        watch = Stopwatch(Observers([observer, tracker, *mirrors]))
        result = _run(Job(job_id, spec, workplace, tracker, watch, deadline), commit)
        for mirror in mirrors:
            mirror.result(result)
        return result


@dataclass(frozen=True)
class Measured:
    """A model that is fitted and measured, and not yet registered."""

    checked: Checked
    parts: Parts
    model: ScoringModel
    assessment: Assessment
    calibration: CalibrationChoice | None
    study: Study | None = None


def measure(job: Job) -> Measured:
    """Everything up to the registration: load, check, fit, evaluate."""
    spec, watch, tracker = job.spec, job.watch, job.tracker
    with watch.phase("load"):
        dataset = take_rows(job)
    with watch.phase("check"):
        checked = inspect(dataset, spec)
        _tell(checked)
        tracker.log_data(dataset, checked.schema, checked.split)
        describe(job, checked)
        stop_on(checked.findings, spec)
        refuse_sample(dataset)
        give_back()  # at its peak the rows are there twice
        parts = partition(checked, spec)
        checked = checked.for_one_fit(spec)
        del dataset
        give_back()
    with watch.phase("fit"):
        fit = fit_model(job, checked, parts)
        fitted, choice = fit.model, fit.calibration
        tracker.log_fit(fitted.params, fitted.facts)
    with watch.phase("evaluate"):
        model = scoring_model(spec, checked, fitted, choice)
        assessment = assess(spec, checked, parts, model, Standing(fitted, choice, watch.timings["fit_s"]))
        tracker.log_result(assessment.metrics, assessment.slices)
        curve = learning_curve(
            job, checked, parts, model, assessment=assessment, study=None if fit.study is None else fit.study.summary
        )
        assessment = replace(assessment, learning_curve=tuple(curve))
    return Measured(checked, parts, model, assessment, choice, fit.study)


def _run(job: Job, commit: Callable[[], None]) -> TrainResult:
    measured, watch, tracker = measure(job), job.watch, job.tracker
    checked, model, assessment = measured.checked, measured.model, measured.assessment
    if checked.folds:
        with watch.phase("evaluate"):
            crossed = cross_validate(job, checked)
            assessment = replace(assessment, cross_validation=crossed)
            tracker.log_cross_validation(crossed)

    def told(version: VersionReference, verdict: GateVerdict) -> TrainResult:
        return _result(job, measured, assessment, version, verdict)

    def put() -> tuple[VersionReference, GateVerdict]:
        commit()
        return register(job, checked, measured.parts, model, assessment, study=measured.study, told=told)

    with watch.phase("register"):
        version, verdict = once_back(job, put)
        if job.checkpoints is not None:
            shutil.rmtree(job.checkpoints, ignore_errors=True)
    return told(version, verdict)


def _result(
    job: Job, measured: Measured, assessment: Assessment, version: VersionReference, verdict: GateVerdict
) -> TrainResult:  # fmt: skip
    checked = measured.checked
    return TrainResult(
        model=version,
        run_id=job.tracker.run_id,
        task=checked.schema.task,
        primary_metric=evaluation.primary_metric(checked.schema.task),
        metrics=assessment.metrics,
        leaderboard=assessment.leaderboard,
        gate=verdict,
        data=checked.summary(),
        slices=assessment.slices,
        threshold=measured.model.threshold,
        cross_validation=assessment.cross_validation,
        calibration=calibration_report(measured.calibration),
        prediction_interval=assessment.interval,
        notes=assessment.notes,
        study=None if measured.study is None else measured.study.summary,
        timings=job.watch.timings,
    )


def _tell(checked: Checked) -> None:
    split = checked.split
    logger.info(
        "%s rows, %s features, task %s; split %s (%s): %s train, %s validation, %s test",
        checked.summary().rows, len(checked.schema.features), checked.schema.task, split.strategy, split.reason,
        len(split.train), len(split.validation), len(split.test),
    )  # fmt: skip
    for warning in checked.warnings:
        logger.warning("%s", warning)
