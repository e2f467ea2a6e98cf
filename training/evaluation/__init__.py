"""How good a model is: metrics with intervals, slices, decision threshold, differences between models."""

from training.evaluation.bootstrap import Resampling, ResamplingOptions
from training.evaluation.checks import check_metrics
from training.evaluation.conformal import conformal_margin
from training.evaluation.metrics import (
    evaluate,
    greater_is_better,
    metrics_of,
    paired_difference,
    point_metrics,
    primary_metric,
)
from training.evaluation.slices import SMALL_ROWS, check_slices, evaluate_slices, slice_labels
from training.evaluation.threshold import check_cost_matrix, choose_threshold

__all__ = [
    "SMALL_ROWS", "Resampling", "ResamplingOptions", "check_cost_matrix", "check_metrics", "check_slices",
    "choose_threshold", "conformal_margin", "evaluate", "evaluate_slices", "greater_is_better", "metrics_of",
    "paired_difference", "point_metrics", "primary_metric", "slice_labels",
]  # fmt: skip
