"""The stage that measures: the threshold on the validation rows, the metrics on the hold-out test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training import evaluation
from training.models import FittedModel
from training.mts_scoring.model import Feature, ScoringModel
from training.pipeline.prepare import Checked, Parts
from training.result import Interval, LeaderboardRow, SliceRow
from training.spec import TrainSpec


@dataclass(frozen=True)
class Assessment:
    """How good the model is on rows that nothing else has seen."""

    metrics: dict[str, Interval]
    slices: list[SliceRow]
    leaderboard: list[LeaderboardRow]
    scores: npt.NDArray[np.float64]
    """Of the test rows."""


def scoring_model(spec: TrainSpec, checked: Checked, parts: Parts, fitted: FittedModel) -> ScoringModel:
    """The fitted model with all that scoring needs: columns, classes, decision threshold."""
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


def assess(spec: TrainSpec, checked: Checked, parts: Parts, model: ScoringModel, fit_s: float) -> Assessment:
    """Scores the test rows once, and the validation rows for the leaderboard."""
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
    leaderboard = [LeaderboardRow(model=spec.model.family, validation=validation, fit_s=fit_s)]
    return Assessment(metrics, slices, leaderboard, scores)
