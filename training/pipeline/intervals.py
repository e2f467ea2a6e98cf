"""The stage's part that gives a regression prediction intervals, and measures them on the test rows."""

from __future__ import annotations

import logging

import numpy as np

from training.evaluation import conformal_margin
from training.models import FittedModel
from training.mts_scoring.interval import PredictionInterval
from training.pipeline.prepare import Parts
from training.result import IntervalReport
from training.spec import TrainSpec

logger = logging.getLogger("training")


def prediction_interval(spec: TrainSpec, fitted: FittedModel) -> PredictionInterval | None:
    """The interval that the spec asks for, from rows that the model did not learn from; None where it asks for none, or
    the rows are too few."""
    coverage, held = spec.evaluation.prediction_interval, fitted.held_out
    if coverage is None or held is None or held.scores.ndim != 1:
        return None
    margin = conformal_margin(held.target.astype(np.float64), held.scores, held.weight, coverage)
    if margin is None:
        logger.warning("%d held-out rows are too few for prediction intervals of %g", len(held.target), coverage)
        return None
    return PredictionInterval(coverage, margin)


def interval_report(
    interval: PredictionInterval | None, parts: Parts, scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> IntervalReport | None:
    """How often the interval holds the true value of a test row."""
    if interval is None:
        return None
    inside = np.abs(parts.test.target - scores) <= interval.margin
    return IntervalReport(
        coverage=interval.coverage,
        test_coverage=float(np.average(inside, weights=parts.test.weight)),
        width=2.0 * interval.margin,
    )
