"""The report of a monitor, as the API answers it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from training.result import Interval, ResultModel

FindingKind = Literal["quality", "drift", "prediction", "multivariate", "estimated", "realised", "calibration"]
KINDS: tuple[FindingKind, ...] = (
    "quality", "drift", "prediction", "multivariate", "estimated", "realised", "calibration",
)  # fmt: skip


class Finding(ResultModel):
    """Something in a window that the reference does not explain."""

    kind: FindingKind
    subject: str
    """The feature, metric or test."""
    severity: Literal["warning", "critical"]
    message: str
    value: float
    threshold: float


class QualityRow(ResultModel):
    """How often a check of a feature fails."""

    feature: str
    check: Literal["missing", "unseen", "range", "type"]
    share: float
    reference: float
    q_value: float
    alarm: bool


class DriftRow(ResultModel):
    """One test of one column."""

    column: str
    test: str
    statistic: float
    p_value: float
    q_value: float
    effect: float
    """On the test's own scale, whatever the number of rows."""
    excess: float
    """The effect beyond what the numbers of rows alone explain."""
    threshold: float
    """Of the excess: the reference's own variation over its chunks, or the least that matters."""
    drifted: bool


class MetricRow(ResultModel):
    """A metric of a window; `low` and `high` bound it at 95 %."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    reference: float
    threshold: float | None = None
    """A worse value is an alarm; None for metrics that are only shown."""
    alarm: bool = False


class MultivariateRow(ResultModel):
    """A test of all features together."""

    method: Literal["domain_classifier", "pca_reconstruction"]
    value: float
    reference: float
    threshold: float
    p_value: float
    drifted: bool


class CalibrationRow(ResultModel):
    """Observed minus predicted, on labelled rows: the share of a class, or the mean residual of a regression."""

    output: str
    gap: float
    low: float
    high: float
    p_value: float
    alarm: bool


class AttributionRow(ResultModel):
    """How much of the change of the inputs a feature carries, weighted by what the model makes of it; sums to one."""

    feature: str
    share: float
    importance: float
    effect: float


class WindowSlice(ResultModel):
    """The rows of a window where a feature has a value."""

    column: str
    value: str
    rows: int
    labelled: int
    estimated: dict[str, float] = {}
    realised: dict[str, float] = {}


class WindowReport(ResultModel):
    """One window."""

    start: datetime
    end: datetime
    rows: int
    analysed: int
    """Fewer than `rows` where the window was sampled."""
    labelled: int
    state: Literal["judged", "open", "empty", "too few rows"]
    """Only a judged window raises alarms."""
    quality: list[QualityRow] = []
    """Checks that fail more often than in the reference, or fail at all."""
    drift: list[DriftRow] = []
    prediction: list[DriftRow] = []
    multivariate: list[MultivariateRow] = []
    estimated: list[MetricRow] = []
    realised: list[MetricRow] = []
    calibration: list[CalibrationRow] = []
    attribution: list[AttributionRow] = []
    slices: list[WindowSlice] = []
    findings: list[Finding] = []


class InflowSummary(ResultModel):
    """What came in."""

    predictions: int
    duplicates: int
    conflicts: int
    conflict_ids: list[str]
    late: int
    other_versions: dict[str, int]
    unread: int
    outcomes: int
    matched: int
    unmatched: int
    outcome_duplicates: int
    outcome_conflicts: int


class ReferenceSummary(ResultModel):
    """What windows are compared with."""

    rows: int
    hold_out_rows: int
    metrics: dict[str, Interval]
    calibrator: str
    estimator: str
    """How performance is estimated without labels."""


class MonitorReport(ResultModel):
    """The report of a monitor."""

    monitor: str
    model: dict[str, str]
    task: str
    generated_at: datetime
    fingerprint: str
    """Of the stream; the same stream gives the same report."""
    reference: ReferenceSummary
    inflow: InflowSummary
    windows: list[WindowReport]
    notes: list[str]
    timings: dict[str, float] = {}


class CheckResult(ResultModel):
    """The result of a job that checked a monitor."""

    monitor: str
    model: dict[str, str]
    fingerprint: str
    windows: int
    alarms: list[dict[str, Any]]
    """Each with window, kind, subject, severity, message, value and threshold."""
    links: dict[str, str] = {}
    timings: dict[str, float] = {}


class InflowReceipt(ResultModel):
    """A batch that is on disk. `repeated`: it was before."""

    accepted: int
    repeated: bool
    duplicates: int
    """Rows that the batch itself held twice."""
    ignored: list[str]
    """Columns that the model does not read."""
    newest: datetime
    """The newest time of its rows."""
