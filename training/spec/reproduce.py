"""An earlier training job, to be done again from its snapshot."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from training.spec.base import SpecModel
from training.spec.job import ModelName, TrainSpec


class ReproduceSpec(SpecModel):
    """What is done again, and what came out the first time. The service makes it; nobody writes one."""

    name: ModelName
    job_id: str
    """The earlier job."""
    train: TrainSpec
    """Its spec, with its snapshot as the source."""
    metrics: dict[str, float | None]
    """Its hold-out metrics."""
    started_from: list[dict[str, Any]] = []
    """Configurations of still earlier searches that its own search began with; searches since then are not asked."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    tags: dict[str, str] = {}
