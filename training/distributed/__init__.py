"""How one fit is spread over workers. Importing this imports neither Ray Train nor xgboost-ray."""

from __future__ import annotations

from collections.abc import Iterable

from training.distributed.base import Engine, Spread
from training.distributed.local_engine import LocalEngine
from training.distributed.train_torch_engine import TrainTorchEngine
from training.distributed.train_xgboost_engine import TrainXGBoostEngine
from training.distributed.xgboost_ray_engine import XGBoostRayEngine
from training.errors import SpecError
from training.spec import TrainSpec

__all__ = ["ENGINES", "Engine", "Spread", "check_spread", "engine_of"]

EngineKey = tuple[str, str]
"""Name of the engine, and the family that it spreads; "" for every one."""


def _by_key(engines: Iterable[Engine]) -> dict[EngineKey, Engine]:
    table: dict[EngineKey, Engine] = {}
    for engine in engines:
        key = (engine.name, engine.family)
        if key in table:
            raise ValueError(f"engine {key!r} is there twice")
        table[key] = engine
    return table


ENGINES: dict[EngineKey, Engine] = _by_key(
    [LocalEngine(), TrainTorchEngine(), TrainXGBoostEngine(), XGBoostRayEngine()]
)


def engine_of(spec: TrainSpec) -> Engine:
    """The engine that fits the spec."""
    family = spec.model.family
    name = spec.resources.engine_for(family)
    return ENGINES[name, "" if name == "local" else family]


def check_spread(spec: TrainSpec) -> None:
    """Checks before anything is loaded that the engine can fit the model.

    Raises:
        SpecError: it cannot.
    """
    problem = spec.resources.problem_with(spec.model.family)
    if problem:
        field, value, message = problem
        raise SpecError.at(f"resources.{field}", value, message)
