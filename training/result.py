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
    """Metrics on the validation rows."""
    fit_s: float


class GateVerdict(ResultModel):
    """Whether the new version became the champion, and why."""

    decision: Literal["promote", "keep"]
    reasons: list[str]
    champion: dict[str, Any] | None = None
    """The champion that it was compared with: {"version": "2"}; None when there was none."""
    difference: Interval | None = None
    """Gain in the promotion metric over the champion on the same test rows, positive is better."""
    metric: str | None = None


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
