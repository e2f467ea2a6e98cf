"""The report as data: what the JSON holds and what the page shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from training.evaluation.profile import Profile
from training.result import (
    CrossValidation,
    DataSummary,
    GateVerdict,
    Interval,
    LeaderboardRow,
    ResultModel,
    SliceRow,
    StudySummary,
    TrialRow,
)

FORMAT_VERSION = 1


class Curve(ResultModel):
    """A curve as its points; thinned to what a page can show."""

    x: list[float]
    y: list[float]


class CalibrationBin(ResultModel):
    """Rows with neighbouring scores: what was predicted and what came true."""

    predicted: float
    observed: float
    low: float
    """Wilson interval of `observed`, 95 %."""
    high: float
    rows: int


class Bar(ResultModel):
    """One bin of a histogram, `counts` by class or by "all"."""

    low: float
    high: float
    counts: dict[str, float]


class CostCurve(ResultModel):
    """Cost per row of deciding at each threshold; `assumed` where no costs were given and both mistakes cost 1."""

    threshold: list[float]
    cost: list[float]
    assumed: bool


class Residuals(ResultModel):
    """Regression: target minus prediction."""

    predicted: list[float]
    """Of a sample of the test rows, beside `residual`."""
    residual: list[float]
    quantiles: dict[str, float]


class ClassCurves(ResultModel):
    """One class of several against the rest."""

    name: str
    rows: int
    roc: Curve
    precision_recall: Curve


class Curves(ResultModel):
    """What the plots of a task show; what does not apply is empty."""

    roc: Curve | None = None
    precision_recall: Curve | None = None
    base_rate: float | None = None
    by_class: list[ClassCurves] = []
    """Multiclass: the most frequent classes."""
    calibration: list[CalibrationBin] = []
    scores: list[Bar] = []
    confusion: list[list[float]] = []
    """[actual][decided], in the order of the classes; sums of weights where rows have weights."""
    cost: CostCurve | None = None
    residuals: Residuals | None = None


class WeakSlice(ResultModel):
    """Rows on which the model is worse than on the others, beyond chance."""

    where: dict[str, str]
    rows: int
    loss: float
    """Mean loss of these rows: log loss, or the squared error of a regression."""
    loss_elsewhere: float
    p_value: float
    """Adjusted for the number of slices that were looked at (Benjamini and Hochberg 1995)."""


class WeakSlices(ResultModel):
    """The search for weak slices."""

    tested: int
    false_discovery_rate: float
    found: list[WeakSlice]


class GroupRate(ResultModel):
    """A rate within one group, and its difference to the largest group with a 95 % interval."""

    value: float | None
    difference: Interval


class Group(ResultModel):
    """One value of a column that fairness was asked for."""

    value: str
    rows: int
    small: bool
    rates: dict[str, GroupRate]


class Fairness(ResultModel):
    """Differences between the groups of a column."""

    column: str
    reference: str
    """The largest group, to which the others are compared."""
    groups: list[Group]
    largest_difference: dict[str, float]
    """Greatest minus smallest rate over the groups that are not small."""


class Importance(ResultModel):
    """How much the model uses a column."""

    column: str
    shap: float
    """Mean absolute contribution."""
    permutation: float | None
    """Loss of the primary metric when the column is shuffled."""
    permutation_sd: float | None


class Dependence(ResultModel):
    """Contributions of a column against its values."""

    column: str
    kind: str
    values: list[float] | list[str]
    contributions: list[float]


class Explanation(ResultModel):
    """What the model's scores are made of."""

    method: str
    unit: str
    """Of the contributions: log-odds, probability or the target's own unit."""
    of: str
    """The class whose score is explained; the target for a regression."""
    rows: int
    """Test rows that the contributions are of, a random sample."""
    permutation_rows: int | None = None
    """Test rows that were shuffled, a random sample; reports made before this was kept have none."""
    base: float
    """Mean score, to which the contributions are added."""
    features: list[Importance]
    dependence: list[Dependence]


class LearningPoint(ResultModel):
    """The primary metric after training on a share of the train rows."""

    rows: int
    train: float
    test: float


class Study(ResultModel):
    """The search for hyperparameters that came before the fit."""

    summary: StudySummary
    maximized: bool
    """Whether more of the first objective is better."""
    trials: list[TrialRow]
    """By number; of very many, the best and some of the others. Only some have their curves."""


class Check(ResultModel):
    """Something that was looked at before the version was made."""

    name: str
    passed: bool
    detail: str


class Report(ResultModel):
    """Everything that is known about how good a version is. The same as JSON and as a page."""

    format_version: int = FORMAT_VERSION
    model: str
    version: str | None = None
    """Set when the report of a registered version is served."""
    job_id: str
    run_id: str
    created_at: datetime
    code_version: str
    task: str
    target: str
    classes: list[str]
    """classes[1] is the positive class of a binary task."""
    primary_metric: str
    threshold: float | None
    confidence: float
    bootstrap_samples: int
    metrics: dict[str, Interval]
    curves: Curves
    slices: list[SliceRow]
    weak_slices: WeakSlices | None
    fairness: list[Fairness]
    explanation: Explanation | None
    learning_curve: list[LearningPoint]
    leaderboard: list[LeaderboardRow]
    study: Study | None = None
    cross_validation: CrossValidation | None = None
    gate: GateVerdict | None
    data: DataSummary
    data_uri: str
    profile: Profile
    checks: list[Check]
    limits: list[str]
    spec: dict[str, Any]
