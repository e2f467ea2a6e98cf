"""Raw columns as inputs of the graph, and what the encoder makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from training.mts_scoring.encoder import TableEncoder
from training.mts_scoring.model import Feature
from training.registry.onnx_export.graph import (
    DOUBLE,
    FLOAT,
    INT64,
    ML_DOMAIN,
    STRING,
    Graph,
    NotExpressibleError,
)

Blocks = Mapping[str, Callable[[Graph, dict[str, Any], Mapping[str, str]], list[str]]]
KINDS = {"numeric": DOUBLE, "boolean": DOUBLE, "categorical": STRING, "datetime": INT64}
NO_LABEL = ""
"""Stands for a missing category."""
NO_TIME = np.iinfo(np.int64).min
"""Stands for a missing time: what numpy keeps for NaT."""
DAY_US = 86_400_000_000


def raw_inputs(graph: Graph, features: tuple[Feature, ...]) -> dict[str, str]:
    """An input of the graph for each feature, by name."""
    return {feature.name: graph.input(feature.name, KINDS[feature.kind]) for feature in features}


def encoded(graph: Graph, encoder: TableEncoder, raw: Mapping[str, str]) -> str:
    """The encoder's matrix, [n, columns] float32.

    Raises:
        NotExpressibleError: a category is the empty text, which stands for a missing one.
    """
    return graph.columns(encoded_columns(graph, encoder.state(), raw))


def encoded_columns(graph: Graph, state: Mapping[str, Any], raw: Mapping[str, str]) -> list[str]:
    """As `encoded`, before the columns are put together, from the encoder's state."""
    return [column for block in state["columns"] for column in _block(graph, block, raw)]


def looked_up(graph: Graph, step: Mapping[str, Any], raw: Mapping[str, str]) -> dict[str, str]:
    """The columns that a LookupStep makes, by name, each [n, 1] float.

    Raises:
        NotExpressibleError: another kind of step; or the empty text, which stands for a missing category, has numbers
            of its own.
    """
    if "source" not in step:
        raise NotExpressibleError(f"columns of the kind {step['type']} are made of several columns")
    table, other = step["table"], step["other"]
    if NO_LABEL in table and list(table[NO_LABEL]) != list(other):
        raise NotExpressibleError(f"column {step['source']!r} has the empty text as a category")
    return {
        name: graph.node(
            "LabelEncoder", raw[step["source"]], domain=ML_DOMAIN, keys_strings=list(table),
            values_floats=[float(line[place]) for line in table.values()], default_float=float(other[place]),
        )
        for place, name in enumerate(step["outputs"])
    }  # fmt: skip


def _block(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    return _BLOCKS[block["type"]](graph, block, raw)


def _number(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    return [graph.cast(raw[block["name"]], FLOAT)]


def _codes(graph: Graph, block: dict[str, Any], raw: Mapping[str, str], missing: float = np.nan) -> str:
    labels = list(block["categories"])
    if NO_LABEL in labels:
        raise NotExpressibleError(f"column {block['name']!r} has the empty text as a category")
    # where training had no rest, a new category is as good as missing
    other = float(len(labels)) if block["has_other"] else missing
    return graph.node(
        "LabelEncoder", raw[block["name"]], domain=ML_DOMAIN, keys_strings=[*labels, NO_LABEL],
        values_floats=[*(float(code) for code in range(len(labels))), missing], default_float=other,
    )  # fmt: skip


def _category(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    return [_codes(graph, block, raw)]


def _one_hot(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    width = len(block["categories"]) + block["has_other"] + block["has_missing"]
    missing = float(width - 1) if block["has_missing"] else np.nan
    codes = _codes(graph, block, raw, missing)
    is_one = graph.node("Equal", codes, graph.constant(np.arange(width)[None, :], np.float32))
    return [graph.cast(is_one, FLOAT)]


def _scaled(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    numbers, indicators = [], []
    for column, scale in zip(_block(graph, block["inner"], raw), block["scales"], strict=True):
        missing = graph.node("IsNaN", column)
        if scale["indicator"]:
            indicators.append(graph.cast(missing, FLOAT))
        filled = graph.node("Where", missing, graph.constant(scale["median"]), graph.cast(column, DOUBLE))
        centred = graph.node("Sub", filled, graph.constant(scale["mean"]))
        numbers.append(graph.cast(graph.node("Div", centred, graph.constant(scale["deviation"])), FLOAT))
    return [*numbers, *indicators]


def _time(graph: Graph, block: dict[str, Any], raw: Mapping[str, str]) -> list[str]:
    time = raw[block["name"]]
    missing = graph.node("Equal", time, graph.constant(NO_TIME, np.int64))
    origin = int(np.datetime64(block["origin"], "us").astype(np.int64))
    calendar = _Calendar(graph, graph.node("Where", missing, graph.constant(origin, np.int64), time))
    parts = [graph.cast(getattr(calendar, part)(), FLOAT) for part in block["parts"]]
    since = graph.cast(graph.node("Sub", calendar.time, graph.constant(origin, np.int64)), DOUBLE)
    parts.append(graph.cast(graph.node("Div", since, graph.constant(float(DAY_US))), FLOAT))
    return [graph.node("Where", missing, graph.constant(np.nan, np.float32), part) for part in parts]


class _Calendar:
    """Parts of a time in microseconds since 1970, by integer arithmetic."""

    def __init__(self, graph: Graph, time: str) -> None:
        self._graph, self.time = graph, time

    def hour(self) -> str:
        return self._mod(self._div(self.time, 3_600_000_000), 24)

    def weekday(self) -> str:
        """0 is Monday; 1970-01-01 was a Thursday."""
        return self._mod(self._add(self._days(), 3), 7)

    def year(self) -> str:
        year, month = self._civil()
        is_early = self._graph.node("LessOrEqual", month, self._constant(2))
        return self._graph.node("Add", year, self._graph.cast(is_early, INT64))

    def month(self) -> str:
        return self._civil()[1]

    def _civil(self) -> tuple[str, str]:
        """Year that begins in March, and month: Howard Hinnant's civil_from_days ("chrono-Compatible Low-Level Date
        Algorithms")."""
        days = self._add(self._days(), 719_468)
        era, of_era = self._div(days, 146_097), self._mod(days, 146_097)
        leaps = self._minus(self._minus(of_era, self._div(of_era, 1460)), self._mul(self._div(of_era, 36_524), -1))
        year = self._div(self._minus(leaps, self._div(of_era, 146_096)), 365)
        start = self._minus(self._plus(self._mul(year, 365), self._div(year, 4)), self._div(year, 100))
        shifted = self._div(self._add(self._mul(self._minus(of_era, start), 5), 2), 153)
        month = self._add(self._mod(self._add(shifted, 2), 12), 1)
        return self._plus(year, self._mul(era, 400)), month

    def _days(self) -> str:
        return self._div(self.time, DAY_US)

    def _constant(self, value: int) -> str:
        return self._graph.constant(value, np.int64)

    def _add(self, value: str, more: int) -> str:
        return self._plus(value, self._constant(more))

    def _mul(self, value: str, by: int) -> str:
        return self._graph.node("Mul", value, self._constant(by))

    def _plus(self, value: str, more: str) -> str:
        return self._graph.node("Add", value, more)

    def _minus(self, value: str, less: str) -> str:
        return self._graph.node("Sub", value, less)

    def _mod(self, value: str, by: int) -> str:
        return self._graph.node("Mod", value, self._constant(by))

    def _div(self, value: str, by: int) -> str:
        """Towards minus infinity, where ONNX divides integers towards zero."""
        return self._graph.node("Div", self._minus(value, self._mod(value, by)), self._constant(by))


_BLOCKS: Blocks = {
    "number": _number, "category": _category, "one_hot": _one_hot, "scaled": _scaled, "time": _time,
}  # fmt: skip
