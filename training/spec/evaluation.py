"""The `evaluation` and `promotion` parts of a spec: what is measured, and when a version becomes the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.spec.base import SpecModel

MetricName = Literal[
    "roc_auc", "average_precision", "log_loss", "brier_score", "ece", "accuracy", "f1",
    "macro_f1", "roc_auc_ovr", "rmse", "mae", "r2",
]  # fmt: skip


class EvaluationSpec(SpecModel):
    """What is measured on the hold-out test rows."""

    metrics: list[MetricName] = []
    """Default: all metrics of the task."""
    slices: list[str] = []
    """Columns; the metrics are also given for each of their values."""
    bootstrap_samples: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """0 gives no intervals."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    cost_matrix: dict[str, dict[str, float]] | None = None
    """cost_matrix[actual][predicted]; chooses the decision threshold of a binary model on the validation rows."""
    prediction_interval: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Regression: the registered model also answers `low` and `high`, between which the true value lies with this
    probability (conformal prediction on rows that the model did not learn from)."""
    explain: bool = True
    """SHAP values and permutation importance in the report."""
    learning_curve: bool = False
    """The report shows the primary metric by the number of train rows; takes four more fits, on 10 to 70 % of them."""
    fairness: list[str] = []
    """Columns whose values are groups to compare: selection rates, true and false positive rates, mean errors."""


class PromotionSpec(SpecModel):
    """When the new version becomes the champion."""

    policy: Literal["never", "if_better", "always"] = "if_better"
    metric: MetricName | None = None
    """Default: the primary metric of the task."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """The gain over the champion must be at least so large, and its interval must lie above 0."""
    cheaper_by: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A version that is not worse is promoted too where a single row takes it so much less time than the champion:
    0.2 means a fifth less. Not worse: the interval of the gain lies above -max_loss."""
    max_loss: Annotated[float, Field(ge=0)] = 0.005
    max_slice_drop: Annotated[float, Field(ge=0)] | None = None
    """On no value of the columns in `evaluation.slices` may the metric be worse by more."""
    max_ece: Annotated[float, Field(ge=0, le=1)] | None = None
    """Greatest calibration error on the hold-out rows; also for a first version."""
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Longest median time of a single row, in the process that trained; also for a first version."""
