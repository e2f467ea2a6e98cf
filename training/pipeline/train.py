"""A training job from its spec to a registered version."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import evaluation
from training.data import load
from training.events import Observer, Observers, logging_to
from training.models import FitContext, FitData, FittedModel, family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.pipeline.prepare import Checked, Parts, check, partition
from training.pipeline.workplace import Stopwatch, Workplace
from training.registry import RunTracker, gate
from training.result import GateVerdict, Interval, LeaderboardRow, SliceRow, TrainResult, VersionReference
from training.spec import TrainSpec

logger = logging.getLogger("training")

SAMPLE_ROWS = 5
"""Raw rows kept with the version as its input example."""


def _always() -> None:
    """The commit of a job that nobody else can run."""


@dataclass(frozen=True)
class Assessment:
    """How good the model is on rows that nothing else has seen."""

    metrics: dict[str, Interval]
    slices: list[SliceRow]
    leaderboard: list[LeaderboardRow]


@dataclass(frozen=True)
class _Job:
    """A job on its way through the pipeline."""

    id: str
    spec: TrainSpec
    workplace: Workplace
    tracker: RunTracker
    watch: Stopwatch
    deadline: float | None
    """time.monotonic() at which the budget for the whole job is spent."""

    @property
    def checkpoints(self) -> Path | None:
        """Where the fit leaves what it needs to go on after its process dies."""
        return self.workplace.checkpoints / self.id if self.workplace.checkpoints else None


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
    deadline = time.monotonic() + spec.time_budget_s if spec.time_budget_s else None
    with workplace.registry.start_run(spec.name, job_id, spec) as tracker:
        everyone = Observers([observer, tracker])
        with logging_to(everyone):
            return _run(_Job(job_id, spec, workplace, tracker, Stopwatch(everyone), deadline), commit)


def _run(job: _Job, commit: Callable[[], None]) -> TrainResult:
    spec, watch, tracker = job.spec, job.watch, job.tracker
    with watch.phase("load"):
        dataset = load(spec.data.source, job.workplace.access)
    with watch.phase("check"):
        checked = check(dataset, spec)
        _tell(checked)
        tracker.log_data(dataset, checked.schema, checked.split)
        parts = partition(checked, spec)
    with watch.phase("fit"):
        fitted = _fit(job, checked, parts)
        tracker.log_fit(fitted.params, fitted.facts)
    with watch.phase("evaluate"):
        model = _scoring_model(spec, checked, parts, fitted)
        assessment = _assess(spec, checked, parts, model, watch.timings["fit_s"])
        tracker.log_result(assessment.metrics, assessment.slices)
    with watch.phase("register"):
        commit()
        version, verdict = _register(job, checked, parts, model, assessment)
        if job.checkpoints is not None:
            shutil.rmtree(job.checkpoints, ignore_errors=True)
    return TrainResult(
        model=version,
        run_id=tracker.run_id,
        task=checked.schema.task,
        primary_metric=evaluation.primary_metric(checked.schema.task),
        metrics=assessment.metrics,
        leaderboard=assessment.leaderboard,
        gate=verdict,
        data=checked.summary(),
        slices=assessment.slices,
        threshold=model.threshold,
        timings=watch.timings,
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


def _fit(job: _Job, checked: Checked, parts: Parts) -> FittedModel:
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


def _scoring_model(spec: TrainSpec, checked: Checked, parts: Parts, fitted: FittedModel) -> ScoringModel:
    schema = checked.schema
    threshold = None
    if schema.task == "binary":
        scores = fitted.predictor.predict(parts.validation.frame)[:, 1]
        threshold = evaluation.choose_threshold(
            parts.validation.target.astype(np.int64, copy=False),
            scores,
            spec.evaluation.cost_matrix,
            schema.classes,
            parts.validation.weight,
        )
    return ScoringModel(
        predictor=fitted.predictor,
        task=schema.task,
        classes=schema.classes,
        features=tuple(Feature(column.name, column.kind) for column in schema.features),
        target=schema.target,
        threshold=threshold,
        extras={"weight_column": spec.data.weight_column},
    )


def _assess(spec: TrainSpec, checked: Checked, parts: Parts, model: ScoringModel, fit_s: float) -> Assessment:
    task, wanted = checked.schema.task, spec.evaluation
    scores = model.scores(parts.test.frame)
    resampling: evaluation.ResamplingOptions = {
        "bootstrap_samples": wanted.bootstrap_samples,
        "confidence": wanted.confidence,
        "seed": spec.split.seed,
        "threads": spec.resources.cpus_per_worker,
    }
    metrics = evaluation.evaluate(
        task, parts.test.target, scores, parts.test.weight,
        metrics=wanted.metrics, threshold=model.threshold, **resampling,
    )  # fmt: skip
    slices = evaluation.evaluate_slices(
        parts.test_frame, wanted.slices, task, parts.test.target, scores, parts.test.weight,
        metrics=wanted.metrics, threshold=model.threshold, **resampling,
    )  # fmt: skip
    validation = evaluation.point_metrics(
        task, parts.validation.target, model.scores(parts.validation.frame), parts.validation.weight,
        wanted.metrics, threshold=model.threshold,
    )  # fmt: skip
    return Assessment(metrics, slices, [LeaderboardRow(model=spec.model.family, validation=validation, fit_s=fit_s)])


def _register(
    job: _Job, checked: Checked, parts: Parts, model: ScoringModel, assessment: Assessment
) -> tuple[VersionReference, GateVerdict]:
    """Asks the gate, makes the version with its verdict in one call, then moves the alias.

    In this order a process that dies in between leaves a version that a second attempt finds, verdict included.
    """
    registry = job.workplace.registry
    verdict = gate.decide(registry, model, parts.test, parts.test_frame, job.spec)
    fitted_on = np.sort(np.concatenate([checked.split.train, checked.split.validation]))
    version = registry.register(
        job.tracker,
        model,
        sample=parts.test.frame.head(SAMPLE_ROWS),
        metrics=assessment.metrics,
        lineage={"data_sha256": checked.dataset.sha256, "data_uri": checked.dataset.uri},
        row_hashes=checked.hashes[fitted_on],
        verdict=verdict,
    )
    return version, gate.apply(registry, version)
