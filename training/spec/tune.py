"""The `tune` part of a spec: a search for the best hyperparameters."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from training.spec.base import SpecModel

Searcher = Literal["tpe", "cmaes", "random", "grid", "hyperopt"]
Scheduler = Literal["none", "asha", "hyperband", "median", "pbt"]
Scalar = bool | int | float | str | None

MAX_TRIALS = 10_000
CONSTRAINT = re.compile(r"^\s*(?P<metric>\w+)\s*(?P<sign><=|>=)\s*(?P<bound>[-+]?\d+(\.\d*)?([eE][-+]?\d+)?)\s*$")


class _Parameter(SpecModel):
    when: dict[str, Scalar | list[Scalar]] | None = None
    """Only searched where another parameter has this value, or one of these: {"tree_method": ["hist", "approx"]}."""

    @field_validator("when")
    @classmethod
    def _on_something(cls, when: dict[str, Scalar | list[Scalar]] | None) -> dict[str, Scalar | list[Scalar]] | None:
        for name, values in (when or {}).items():
            if values == []:
                raise ValueError(f"{name} has no value with which to search this parameter; give one at least")
        return when


class _Range(_Parameter):
    log: bool = False
    """Whether to search evenly over orders of magnitude."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = getattr(self, "low"), getattr(self, "high")  # noqa: B009 - the fields of the two kinds of range
        if low > high:
            raise ValueError(f"low, {low}, is above high, {high}; swap them")
        if self.log and low <= 0:
            raise ValueError(f"a range over orders of magnitude starts above zero, not at {low}; raise low or drop log")
        step = getattr(self, "step")  # noqa: B009
        if self.log and step is not None:
            raise ValueError("a range over orders of magnitude has no step; give log or step")
        if step is not None and low < high < low + step:
            raise ValueError(f"step, {step}, is longer than the range from {low} to {high}; lower it or leave it out")
        return self


class IntRange(_Range):
    """Whole numbers from low to high, both included."""

    type: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(gt=0)] | None = None


class FloatRange(_Range):
    """Numbers from low to high, both included."""

    type: Literal["float"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None


class Choice(_Parameter):
    """One of some values; lists and objects are taken as they are, such as the layers of a network."""

    type: Literal["choice"]
    values: Annotated[list[Any], Field(min_length=1)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        if any(value in self.values[:place] for place, value in enumerate(self.values)):
            raise ValueError("a value is given twice; give each once")
        return self


ParameterSpec = Annotated[IntRange | FloatRange | Choice, Field(discriminator="type")]


class StopSpec(SpecModel):
    """What ends a search before its number of trials or its time does."""

    target: float | None = None
    """Value of the first objective that is good enough."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Trials in a row without a better value."""
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    """A gain not above this counts as none for `patience`."""
    below_noise: bool = False
    """Whether to end when the gain that can still be expected is below the metric's noise on the validation rows."""


class TuneSpec(SpecModel):
    """A search for the best hyperparameters. `num_trials` alone is enough: every family has a space to search."""

    num_trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 50
    """The first one is the configuration without the search. A grid has its own number, this at most."""
    time_budget_s: Annotated[float, Field(gt=0)] | None = None
    """For the search; what runs then ends with the best so far where the family can."""
    metric: str | None = None
    """On the validation rows. Default: promotion.metric, or else the primary metric of the task."""
    objectives: Annotated[list[str], Field(max_length=4)] = []
    """Several metrics at once instead of one, the most important first; also predict_ms (for 1,000 rows) and fit_s."""
    constraints: Annotated[list[str], Field(max_length=8)] = []
    """Such as "ece <= 0.05"; a trial that breaks one is best only where all do."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """Measure each trial by cross-validation over the train and validation rows instead of on the validation rows."""
    searcher: Searcher = "tpe"
    scheduler: Scheduler | None = None
    """Ends bad trials early. Default: asha where the family tells how it does while it learns and the curve says all,
    that is, with one objective and no constraints; else none. pbt trains all trials side by side, and bad ones go on
    from copies of good ones with changed values: for torch."""
    search_space: dict[str, ParameterSpec] = {}
    """Parameters of `model.params`: these replace or join those of the family's own space. What `model.params` fixes is
    not searched, unless it is named here; then its value is that of the first trial."""
    max_concurrent_trials: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Default: as many as the cluster has CPUs for."""
    stop: StopSpec = StopSpec()
    warm_start: bool = True
    """Whether to begin with the best configurations of earlier studies of this model."""
    warm_start_from: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    """A job, or another model, whose studies to begin with instead."""

    @field_validator("constraints")
    @classmethod
    def _readable(cls, constraints: list[str]) -> list[str]:
        for constraint in constraints:
            if CONSTRAINT.match(constraint) is None:
                raise ValueError(f'{constraint!r} is no bound of a metric; write it like "ece <= 0.05"')
        return constraints

    @model_validator(mode="after")
    def _one_kind_of_objective(self) -> Self:
        if self.metric is not None and self.objectives:
            raise ValueError("give metric or objectives, not both")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("objectives: an objective is given twice; give each once")
        return self
