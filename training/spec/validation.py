"""The `validation` part of a spec: what is checked before anything is fitted, and what stops the job."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.spec.base import SpecModel

CheckName = Literal[
    "schema", "single_feature", "identifier", "duplicate_rows", "duplicate_columns", "time_overlap", "after_event",
    "unseen_category", "missingness", "constant", "class_counts", "target_outliers", "drift",
]  # fmt: skip


class ColumnRule(SpecModel):
    """What the values of a column must be."""

    type: Literal["number", "whole", "text", "boolean", "time"] | None = None
    min: float | None = None
    max: float | None = None
    allowed: Annotated[list[str | int | float | bool], Field(min_length=1, max_length=10_000)] | None = None
    nullable: bool = True
    unique: bool = False
    required: bool = True
    """Whether the column must be there."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class ValidationSpec(SpecModel):
    """Which findings stop the job, and which are told as warnings; all of them are in the report."""

    fail_on: list[CheckName] = ["schema"]
    """Checks whose findings stop the job before it is fitted."""
    warn_on: list[CheckName] | None = None
    """Checks whose findings are told as warnings; default all."""
    columns: dict[str, ColumnRule] = {}
    """The user's schema, by column; the check `schema` enforces it."""
