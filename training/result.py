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


class IntervalReport(ResultModel):
    """Prediction intervals of a regression."""

    coverage: float
    """That was asked for."""
    test_coverage: float
    """Share of the test rows whose value lies within."""
    width: float
    """From `low` to `high`, in units of the target."""


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


class FeatureField(ResultModel):
    """A column of the table that comes from a feature view."""

    column: str
    reference: str
    """As an online request names it, such as bureau:income."""
    type: str
    """Of the feature store."""


class FeatureViewUse(ResultModel):
    """A feature view as it was when the rows were read."""

    name: str
    version: str
    """The number that the feature store gives the definition, where it counts them, else "latest"."""
    definition_sha256: str
    """Of the definition, so that another one under the same name is told from this."""
    updated_at: str | None
    join_keys: list[str]
    request_columns: list[str] = []
    """What a caller sends with the request, for features that are computed on demand."""
    ttl_s: float | None = None
    """Older values than this do not count; None for no limit."""
    online: bool
    """Whether the online store serves it."""
    features: list[FeatureField]


class FeatureStoreUse(ResultModel):
    """Which features of a feature store a model was trained on, and how they are asked for online."""

    repository: str
    project: str
    feature_service: str | None
    timestamp_column: str
    known_at_event: bool
    """Whether values that were written after the event are left out, too, not only those that speak of a later time."""
    online_store: str | None
    views: list[FeatureViewUse]


class FoldRow(ResultModel):
    """One fold of a cross-validation."""

    repeat: int
    fold: int
    """Both from 1."""
    train_rows: int
    validation_rows: int
    test_rows: int
    metrics: dict[str, float] = {}
    """On the rows of the fold, by a model that knows nothing of them. Empty where it failed."""
    fit_s: float = 0.0
    error: str | None = None


class CrossValidation(ResultModel):
    """How good models are that are made in this way, each measured on rows that it knows nothing of."""

    folds: int
    repeats: int
    metrics: dict[str, Interval]
    """Means over the folds, with t intervals whose variance is corrected for train rows that folds share."""
    rows: list[FoldRow]


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
    feature_store: FeatureStoreUse | None = None
    """Where features came from a feature store."""


class TrialRow(ResultModel):
    """One configuration that a search tried."""

    number: int
    """0 is the configuration without the search."""
    status: Literal["RUNNING", "COMPLETE", "STOPPED", "FAILED"]
    """STOPPED: ended early, for it was worse than others at the same point."""
    origin: Literal["default", "earlier", "search"]
    """earlier: the best of an earlier study."""
    params: dict[str, Any]
    """Values of model.params that the trial set."""
    values: dict[str, float] = {}
    """Metrics on the validation rows; predict_ms is for 1,000 rows."""
    feasible: bool = True
    """Whether it keeps all constraints."""
    curve: list[tuple[int, float]] = []
    """`curve_metric` after some of the boosting rounds, epochs or folds."""
    curve_metric: str | None = None
    facts: dict[str, float] = {}
    """What the fit found, such as the best round."""
    schedule: list[dict[str, Any]] = []
    """With the scheduler pbt: the values of each stage of the fit, the last ones are `params`."""
    started_at: str | None = None
    finished_at: str | None = None
    error: str | None = None


class StudySummary(ResultModel):
    """What a search for hyperparameters found; its trials are at /jobs/{id}/trials."""

    objectives: list[str]
    searcher: str
    scheduler: str
    trials: dict[str, int]
    """How many of each status."""
    best: TrialRow
    default: TrialRow
    pareto: list[TrialRow] = []
    """With several objectives: the trials that none beats in all of them."""
    importances: dict[str, float] = {}
    """Share of the variance of the first objective that each parameter explains."""
    ended_by: str
    resumed_trials: int = 0
    """Trials that an attempt before this one had finished."""
    started_from: list[dict[str, Any]] = []
    """Configurations of earlier studies that were tried first."""
    blend: dict[int, float] = {}
    """Share of each trial in the model, by number; empty where it is that of the best trial alone."""
    spent_s: float


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
    study: StudySummary | None = None
    """The search for hyperparameters, where the spec has `tune`."""
    cross_validation: CrossValidation | None = None
    """Where split.folds asks for it; of train and validation rows alone."""
    calibration: CalibrationReport | None = None
    """None for a regression."""
    prediction_interval: IntervalReport | None = None
    """Where evaluation.prediction_interval asks for it."""
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
