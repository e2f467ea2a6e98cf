"""The whole spec of a training job, and of an evaluation."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from training.spec.base import SpecModel
from training.spec.data import DataSpec, Source, SplitSpec
from training.spec.evaluation import EvaluationSpec, PromotionSpec
from training.spec.model import ModelSpec, XGBoostSpec
from training.spec.resources import ResourcesSpec
from training.spec.tune import TuneSpec
from training.spec.validation import ValidationSpec

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


class WandbSpec(SpecModel):
    """A mirror of the job's run in Weights & Biases."""

    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    entity: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] | None = None
    """User or team; default that of the key."""
    mode: Literal["online", "offline"] = "online"
    """offline: the run is kept among the artifacts of the MLflow run, for `wandb sync`."""


class TrackingSpec(SpecModel):
    """Where the job's parameters and metrics go beside MLflow, which always has them."""

    wandb: WandbSpec | None = None


class TrainSpec(SpecModel):
    """A training job. Only `name`, `data.source` and `data.target` are required."""

    name: ModelName
    """Registered model name."""
    data: DataSpec
    split: SplitSpec = SplitSpec()
    validation: ValidationSpec = ValidationSpec()
    model: ModelSpec = XGBoostSpec()
    tune: TuneSpec | None = None
    """Searches for the best parameters of the model; null trains with `model.params` as they are."""
    resources: ResourcesSpec = ResourcesSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    promotion: PromotionSpec = PromotionSpec()
    tracking: TrackingSpec = TrackingSpec()
    time_budget_s: Annotated[float, Field(gt=0)] | None = None
    """For the whole job; when it is over the job fails, or returns the best so far where the family can."""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 2
    """Retries after a failure that may pass, as of a killed worker. An error in the data is never retried; a lost node
    and a restart of the service are not counted here."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Higher first."""
    tags: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _default_family(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and isinstance(raw.get("model"), dict) and "family" not in raw["model"]:
            return raw | {"model": {"family": "xgboost"} | raw["model"]}
        return raw


class ModelReference(SpecModel):
    """A registered version, by number or by alias; neither means the champion."""

    name: ModelName
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")] | None = None
    alias: str | None = None

    @field_validator("version", mode="before")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        if isinstance(value, str) and (not value.isdecimal() or value.startswith("0")):
            message = "a version is a number from 1 on, such as '3'; an alias, such as 'champion', goes into alias"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.version and self.alias:
            raise ValueError("give version or alias, not both")
        return self


class EvaluationData(SpecModel):
    """Rows to evaluate on; the target and the columns are the model's own."""

    source: Source


class EvaluateSpec(SpecModel):
    """A model against data."""

    model: ModelReference
    data: EvaluationData
    slices: list[str] = []
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Binary: score from which on the positive class is decided. Default: the model's own."""
    bootstrap_samples: Annotated[int, Field(ge=0, le=100_000)] = 1000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    tags: dict[str, str] = {}
