"""The space of a search: its parameters, which of them are searched together, and the points of a grid."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.spec import Choice, IntRange, ParameterSpec

Config = dict[str, Any]
"""Values of `model.params` that a trial sets."""
Draw = Callable[[str, ParameterSpec], Any]


@dataclass(frozen=True)
class Space:
    """Parameters by name, those that others depend on first.

    `defaults` are the values that the family uses where nothing is set, as far as they are known; so that a searcher
    can learn from the trial of the default configuration.
    """

    parameters: Mapping[str, ParameterSpec]
    defaults: Mapping[str, Any]

    def draw(self, draw: Draw) -> Config:
        """A configuration, parameter by parameter, without those that do not go with the values before them."""
        config: Config = {}
        for name, parameter in self.parameters.items():
            if self.is_active(parameter, config):
                config[name] = draw(name, parameter)
        return config

    def is_active(self, parameter: ParameterSpec, config: Mapping[str, Any]) -> bool:
        """Whether the parameter is searched beside these values."""
        for name, wanted in (parameter.when or {}).items():
            allowed = wanted if isinstance(wanted, list) else [wanted]
            if config.get(name, self.defaults.get(name)) not in allowed:
                return False
        return True

    def as_point(self, config: Mapping[str, Any]) -> Config | None:
        """The configuration as a point of this space: what it leaves open at the default, values outside of a range at
        its nearest end, and a choice by the place of its value, which may be a list. None where there is none."""
        whole = {name: config.get(name, self.defaults.get(name)) for name in self.parameters}
        known: Config = {}
        for name, parameter in self.parameters.items():
            if not self.is_active(parameter, whole):
                continue
            value = _inside(parameter, whole[name])
            if value is None:
                return None
            known[name] = value
        return known

    def unit_point(self, config: Mapping[str, Any]) -> list[float]:
        """The configuration in the unit cube, one coordinate for each parameter; 0.5 where one is not searched."""
        known = self.as_point(config) or {}
        return [_share(parameter, known[name]) if name in known else 0.5 for name, parameter in self.parameters.items()]

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration of another study lies in this space, with no parameter missing or left over."""
        active = {name for name, parameter in self.parameters.items() if self.is_active(parameter, config)}
        return set(config) == active and all(holds(self.parameters[name], config[name]) for name in active)

    def grid(self) -> Iterator[Config]:
        """Every combination, in a fixed order; the last parameter changes fastest."""
        seen = set()
        for point in itertools.product(*(levels(parameter) for parameter in self.parameters.values())):
            whole = dict(zip(self.parameters, point, strict=True))
            config = {name: value for name, value in whole.items() if self.is_active(self.parameters[name], whole)}
            key = json.dumps(config, sort_keys=True, default=str)
            if key not in seen:
                seen.add(key)
                yield config

    def grid_size(self) -> int:
        """An upper bound of the combinations, quick to tell even where there are very many."""
        return math.prod(level_count(parameter) for parameter in self.parameters.values())


def level_count(parameter: ParameterSpec) -> int:
    """How many values a grid has of it; raises ValueError for a range without steps."""
    if isinstance(parameter, Choice):
        return len(parameter.values)
    step = parameter.step or (1 if isinstance(parameter, IntRange) else None)
    if step is None:
        raise ValueError("a range of numbers without step has no end of values")
    return int((parameter.high - parameter.low) / step + 1e-9) + 1


def levels(parameter: ParameterSpec) -> list[Any]:
    """The values that a grid has of it."""
    if isinstance(parameter, Choice):
        return list(parameter.values)
    step = parameter.step or 1
    return [parameter.low + place * step for place in range(level_count(parameter))]


def holds(parameter: ParameterSpec, value: Any) -> bool:
    """Whether the parameter can have the value."""
    if isinstance(parameter, Choice):
        return value in parameter.values
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and parameter.low <= value <= parameter.high


def _inside(parameter: ParameterSpec, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return parameter.values.index(value) if value in parameter.values else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    held = min(max(value, parameter.low), parameter.high)
    if parameter.step:
        held = parameter.low + round((held - parameter.low) / parameter.step) * parameter.step
    return round(held) if isinstance(parameter, IntRange) else float(held)


def _share(parameter: ParameterSpec, value: float) -> float:
    """Where between the ends of its range a value lies; of a choice, the place of its value among the others."""
    if isinstance(parameter, Choice):
        return value / max(1, len(parameter.values) - 1)
    low, high = parameter.low, parameter.high
    if low == high:
        return 0.5
    if parameter.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)
