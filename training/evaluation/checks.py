"""What of a spec's evaluation can be checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

from training.errors import SpecError
from training.evaluation.metrics import wanted_metrics
from training.evaluation.threshold import check_cost_matrix
from training.spec import TrainSpec


def check_metrics(spec: TrainSpec, task: str, classes: Sequence[str]) -> None:
    """Checks the metrics, the promotion metric and the cost matrix against the task.

    Raises:
        SpecError: names the field, the value and what is known.
    """
    wanted_metrics(task, spec.evaluation.metrics)
    if spec.promotion.metric is not None:
        wanted_metrics(task, (spec.promotion.metric,), "promotion.metric")
    if spec.evaluation.prediction_interval is not None and task != "regression":
        message = f"intervals are for a regression; this is a {task} task, whose scores are probabilities"
        raise SpecError.at("evaluation.prediction_interval", spec.evaluation.prediction_interval, message)
    if spec.evaluation.cost_matrix is not None:
        check_cost_matrix(spec.evaluation.cost_matrix, classes)
