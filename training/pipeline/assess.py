"""The stage that measures: the threshold on the validation rows, the metrics on the hold-out test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training import evaluation
from training.evaluation.report.model import LearningPoint
from training.models import FittedModel
from training.models.calibration import CalibrationChoice
from training.mts_scoring.model import Feature, ScoringModel
from training.pipeline.intervals import interval_report, prediction_interval
from training.pipeline.leaderboard import Standing, leaderboard
from training.pipeline.prepare import Checked, Parts
from training.result import CrossValidation, Interval, IntervalReport, LeaderboardRow, SliceRow
from training.spec import TrainSpec


@dataclass(frozen=True)
class Assessment:
    """How good the model is on rows that nothing else has seen."""

    metrics: dict[str, Interval]
    slices: list[SliceRow]
    leaderboard: list[LeaderboardRow]
    scores: npt.NDArray[np.float64]
    """Of the test rows."""
    notes: list[str]
    interval: IntervalReport | None
    learning_curve: tuple[LearningPoint, ...] = ()
    cross_validation: CrossValidation | None = None


def scoring_model(
    spec: TrainSpec, checked: Checked, fitted: FittedModel, choice: CalibrationChoice | None
) -> ScoringModel:
    """The fitted model with all that scoring needs: columns, classes, decision threshold."""
    schema, held = checked.schema, fitted.held_out
    threshold = None
    if schema.task == "binary" and held is not None:
        scores = choice.calibration.apply(held.scores) if choice and choice.calibration else held.scores
        threshold = evaluation.choose_threshold(
            held.target.astype(np.int64, copy=False),
            scores[:, 1],
            spec.evaluation.cost_matrix,
            schema.classes,
            held.weight,
        )
    return ScoringModel(
        predictor=fitted.predictor,
        task=schema.task,
        classes=schema.classes,
        features=tuple(Feature(column.name, column.kind) for column in schema.features),
        target=schema.target,
        threshold=threshold,
        extras={"weight_column": spec.data.weight_column},
        interval=prediction_interval(spec, fitted),
    )


def assess(spec: TrainSpec, checked: Checked, parts: Parts, model: ScoringModel, standing: Standing) -> Assessment:
    """Scores the test rows once; the leaderboard is of rows that were held out in the fit."""
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
    rows, notes = leaderboard(spec, task, model.threshold, standing, resampling)
    found = interval_report(model.interval, parts, scores)
    return Assessment(metrics, slices, rows, scores, notes, found)
