"""What a finished job answers: the wire types of its `result`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class ResultModel(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Interval(ResultModel):
    """A metric with its bootstrap percentile interval; bounds are None where no interval was asked for or possible."""

    value: float | None
    low: float | None = None
    high: float | None = None


class VersionReference(ResultModel):
    """A version of a registered model."""

    name: str
    version: str
    uri: str


class LeaderboardRow(ResultModel):
    """One model that the job fitted."""

    model: str
    validation: dict[str, float]
    """Metrics on rows that the model did not learn from: the validation rows, or, where models were fitted over folds,
    every row by the models of the other folds. Empty where it failed."""
    fit_s: float
    gain: Interval | None = None
    """Of the job's model over this one, in the primary metric on the same rows; positive: the job's is better."""
    share: float | None = None
    """Of the job's model, where that combines several."""
    error: str | None = None
    """Why it is missing."""


class CalibrationReport(ResultModel):
    """Whether the probabilities were corrected, on rows that the model did not learn from."""

    method: Literal["none", "temperature", "isotonic"]
    rows: int
    log_loss_before: float
    log_loss_after: float
    """Cross-fitted: no row's probability is corrected by what that row teaches."""
    temperature: float | None = None
    reason: str


class GateVerdict(ResultModel):
    """Whether the new version became the champion, and why."""

    decision: Literal["promote", "keep"]
    reasons: list[str]
    champion: dict[str, Any] | None = None
    """The champion that it was compared with: {"version": "2"}; None when there was none."""
    difference: Interval | None = None
    """Gain in the promotion metric over the champion on the same test rows, positive is better."""
    metric: str | None = None
    method: str | None = None
    """How the interval of the difference was made: DeLong or paired bootstrap."""
    rows: int | None = None
    """Test rows that both models scored and neither was fitted on."""
    facts: dict[str, float] = {}
    """What limits were held against: ece, latency_ms, champion_latency_ms."""
    failed_checks: list[str] = []
    """Limits of the spec that the version does not keep, whatever the champion is."""


class SliceRow(ResultModel):
    """Metrics on the rows where `column` has `value`."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Interval]
    small: bool = False
    """Too few rows for the metrics to say much."""


class Finding(ResultModel):
    """Something that a check of the data found."""

    check: str
    """Name of the check, as in `validation.fail_on`."""
    severity: Literal["error", "warning", "info"]
    columns: list[str] = []
    evidence: str
    remedy: str
    figures: dict[str, float] = {}


class DataSummary(ResultModel):
    """The rows that the job saw."""

    rows: int
    columns: int
    sha256: str
    train_rows: int
    validation_rows: int
    test_rows: int
    split: str
    warnings: list[str] = []
    findings: list[Finding] = []
    """What the checks found, the gravest first."""


class TrainResult(ResultModel):
    """The result of a training job."""

    model: VersionReference
    run_id: str
    task: str
    primary_metric: str
    metrics: dict[str, Interval]
    leaderboard: list[LeaderboardRow]
    gate: GateVerdict
    data: DataSummary
    slices: list[SliceRow] = []
    threshold: float | None = None
    """Binary: score from which on the positive class is decided."""
    calibration: CalibrationReport | None = None
    """None for a regression."""
    notes: list[str] = []
    """What the fit has to say: a hybrid that did not earn its place, a member that is missing, time that was short."""
    timings: dict[str, float]


class EvaluationResult(ResultModel):
    """The report of an evaluation."""

    model: VersionReference
    task: str
    primary_metric: str
    rows: int
    metrics: dict[str, Interval]
    slices: list[SliceRow] = []
    threshold: float | None = None
    warnings: list[str] = []
    links: dict[str, str] = {}
    timings: dict[str, float] = {}


class MetricDifference(ResultModel):
    """A metric of an earlier job beside that of its repetition."""

    original: float | None
    reproduced: float | None
    difference: float | None
    """reproduced - original; None where one of them has no value."""


class ReproductionResult(ResultModel):
    """An earlier job done again from its snapshot."""

    job_id: str
    """The earlier job."""
    data_sha256: str
    identical: bool
    """Whether every metric is the same to the last digit."""
    metrics: dict[str, MetricDifference]
    run_id: str
    timings: dict[str, float]
