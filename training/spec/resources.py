"""The `resources` part of a spec: what the fit may use on the cluster, and how it is spread."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from training.spec.base import SpecModel

EngineName = Literal["local", "xgboost_ray", "ray_train"]
Workers = Annotated[int, Field(ge=1, le=1000)]

FAMILIES_OF: dict[str, tuple[str, ...]] = {"xgboost_ray": ("xgboost",), "ray_train": ("torch", "xgboost")}
"""What an engine can spread; `local` fits every family with one worker."""
DEFAULT_ENGINES: dict[str, EngineName] = {"torch": "ray_train", "xgboost": "xgboost_ray"}
"""The engine of several workers where the spec says `auto`."""
ELASTIC: tuple[EngineName, ...] = ("ray_train",)
"""Engines whose number of workers may change while they run."""


class ResourcesSpec(SpecModel):
    """What the fit may use on the cluster."""

    num_workers: Workers | Annotated[list[Workers], Field(min_length=2, max_length=2)] = 1
    """Processes that share one fit. Two numbers, [1, 8], start with what the cluster has room for, and grow."""
    cpus_per_worker: Annotated[int, Field(ge=1, le=1024)] = 1
    gpus_per_worker: Annotated[int, Field(ge=0, le=64)] = 0
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    """Memory reserved per worker. Default: none reserved."""
    engine: Literal["auto", "local", "xgboost_ray", "ray_train"] = "auto"
    """How one fit is spread. auto: local for one worker; for several xgboost_ray or, for torch, ray_train."""

    @model_validator(mode="after")
    def _ordered(self) -> ResourcesSpec:
        if self.min_workers > self.max_workers:
            raise ValueError(f"num_workers [{self.min_workers}, {self.max_workers}]: the smaller number comes first")
        return self

    @property
    def min_workers(self) -> int:
        """Workers without which the fit does not start."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[0]

    @property
    def max_workers(self) -> int:
        """Most workers that the fit ever has."""
        return self.num_workers if isinstance(self.num_workers, int) else self.num_workers[1]

    def engine_for(self, family: str) -> EngineName:
        """The engine that fits the family. One worker needs none: it is the job's own, warm process."""
        if self.max_workers == 1:
            return "local"
        return DEFAULT_ENGINES.get(family, "local") if self.engine == "auto" else self.engine

    def problem_with(self, family: str) -> tuple[str, object, str] | None:
        """Field, value and message of what cannot work for the family; None where all is well."""
        if self.engine in FAMILIES_OF and family not in FAMILIES_OF[self.engine]:
            possible = ", ".join(FAMILIES_OF[self.engine])
            return "engine", self.engine, f"{self.engine} cannot spread a model of family {family}; it can: {possible}"
        engine = self.engine_for(family)
        if engine == "local" and self.max_workers > 1:
            who = "the engine local has" if family in DEFAULT_ENGINES else f"a model of family {family} is fitted by"
            return "num_workers", self.num_workers, f"{who} one worker; raise cpus_per_worker instead"
        if not isinstance(self.num_workers, int) and engine not in ELASTIC:
            return "num_workers", self.num_workers, f"the engine {engine} needs one number; ray_train takes two"
        return None
