"""The `resources` part of a spec: what the fit may use on the cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.spec.base import SpecModel


class ResourcesSpec(SpecModel):
    """What the fit may use on the cluster."""

    num_workers: Annotated[int, Field(ge=1, le=1000)] = 1
    cpus_per_worker: Annotated[int, Field(ge=1, le=1024)] = 1
    gpus_per_worker: Annotated[int, Field(ge=0, le=64)] = 0
    memory_mb: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Memory reserved per worker. Default: none reserved."""
    engine: Literal["auto", "local"] = "auto"
    """How one fit is spread over workers."""
