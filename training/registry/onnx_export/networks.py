"""Neural networks of PyTorch as graphs."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from training.mts_scoring.network_base import Inputs
from training.mts_scoring.torch_predictor import average
from training.registry.onnx_export.attention import traceable
from training.registry.onnx_export.graph import DOUBLE, FLOAT, INT64, OPSET, Graph, interpolated
from training.registry.onnx_export.inputs import encoded_columns

TRACED_ROWS = 3
"""Of the example that a network is traced with; not 1, which tracing takes for a dimension to be broadcast."""


def networked(graph: Graph, predictor: Any, raw: Mapping[str, str], margins: str | None = None) -> str:
    """Scores of networks of one plan, [n, classes] or [n, 1] double.

    Args:
        graph: written to.
        predictor: a TorchPredictor.
        raw: inputs of the graph, by raw column.
        margins: [n, classes] log probabilities or [n, 1] values, to which the networks have learnt to add.

    Raises:
        NotExpressibleError: a category is the empty text.
    """
    inputs = _inputs(graph, predictor.encoder.state(), raw)
    inputs["shift"] = _shift(graph, predictor, margins)
    parts = []
    for network in predictor.networks:
        model = graph.once(network, partial(_traced, network, predictor))
        used = [inputs[value.name] for value in model.graph.input]
        parts.append(graph.cast(graph.embedded(model, used), DOUBLE))
    total = parts[0] if len(parts) == 1 else graph.node("Sum", *parts)
    mean = graph.node("Div", total, graph.constant(len(parts)))
    if predictor.target is None:
        sums = graph.node("ReduceSum", mean, graph.constant([1], np.int64), keepdims=1)
        return graph.node("Div", mean, sums)
    scale = predictor.target
    values = graph.node("Add", graph.node("Mul", mean, graph.constant(scale.deviation)), graph.constant(scale.mean))
    return graph.node("Clip", values, graph.constant(scale.low), graph.constant(scale.high))


def _shift(graph: Graph, predictor: Any, margins: str | None) -> str:
    """What is added to the outputs of every network, [n, outputs] float32, or [1, outputs] of zeros."""
    if margins is None:
        return graph.constant(np.zeros((1, predictor.plan.outputs)), np.float32)
    if predictor.target is not None:
        centred = graph.node("Sub", margins, graph.constant(predictor.target.mean))
        margins = graph.node("Div", centred, graph.constant(predictor.target.deviation))
    return graph.cast(margins, FLOAT)


def _inputs(graph: Graph, state: Mapping[str, Any], raw: Mapping[str, str]) -> dict[str, str]:
    """`numbers`, `flags` and `categories` of NetworkInputs."""
    blocks = state["table"]["columns"]
    codes = [place for place, column in enumerate(_is_category(blocks)) if column]
    columns = encoded_columns(graph, state["table"], raw)
    categories = [
        _code(graph, columns[place], len(shares)) for place, shares in zip(codes, state["shares"], strict=True)
    ]
    numbers: list[str] = []
    flags: list[str] = []
    numeric = [column for place, column in enumerate(columns) if place not in set(codes)]
    for column, learnt in zip(numeric, state["columns"], strict=True):
        values = graph.cast(column, DOUBLE)
        missing = graph.node("IsNaN", values)
        if learnt["scale"] is not None:
            scaled = graph.cast(_scaled(graph, values, missing, learnt["scale"]), FLOAT)
            (flags if "low" in learnt["scale"] else numbers).append(scaled)
        if learnt["missing"]:
            flags.append(graph.cast(missing, FLOAT))
    none = graph.node("Gather", columns[0], graph.constant([], np.int64), axis=1)
    return {
        "numbers": graph.columns(numbers) if numbers else none,
        "flags": graph.columns(flags) if flags else none,
        "categories": graph.columns(categories) if categories else graph.cast(none, INT64),
    }


def _is_category(blocks: list[dict[str, Any]]) -> list[bool]:
    """For each column of the table's matrix whether it holds codes."""
    return [block["type"] == "category" for block in blocks
            for _ in range(len(block["parts"]) + 1 if block["type"] == "time" else 1)]  # fmt: skip


def _code(graph: Graph, column: str, codes: int) -> str:
    """The last code stands for a missing category."""
    missing = graph.node("IsNaN", column)
    return graph.cast(graph.node("Where", missing, graph.constant(codes - 1, np.float32), column), INT64)


def _scaled(graph: Graph, values: str, missing: str, scale: Mapping[str, Any]) -> str:
    """As the encoder's own scales do."""
    if "low" in scale:
        spread = graph.constant(scale["high"] - scale["low"])
        share = graph.node("Div", graph.node("Sub", values, graph.constant(scale["low"])), spread)
        doubled = graph.node("Sub", graph.node("Mul", share, graph.constant(2.0)), graph.constant(1.0))
        clipped = graph.node("Clip", doubled, graph.constant(-1.0), graph.constant(1.0))
        return graph.node("Where", missing, graph.constant(0.0), clipped)
    if "knots" in scale:
        known = graph.node("Where", missing, graph.constant(scale["knots"][0]), values)
        found = interpolated(graph, known, scale["knots"], scale["scores"])
        return graph.node("Where", missing, graph.constant(scale["missing"]), found)
    scaled = graph.node("Mul", graph.node("Sub", values, graph.constant(scale["center"])),
                        graph.constant(scale["scale"]))  # fmt: skip
    third = graph.node("Div", scaled, graph.constant(3.0))
    root = graph.node("Sqrt", graph.node("Add", graph.node("Mul", third, third), graph.constant(1.0)))
    return graph.node("Where", missing, graph.constant(0.0), graph.node("Div", scaled, root))


class _Averaged(torch.nn.Module):
    """What the members of a network say together, from plain tensors."""

    def __init__(self, network: torch.nn.Module, *, is_regression: bool) -> None:
        super().__init__()
        self._network, self._is_regression = network, is_regression

    def forward(
        self, numbers: torch.Tensor, flags: torch.Tensor, categories: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        outputs = self._network(Inputs(numbers, flags, categories)) + shift[:, None, :]
        return average(outputs, is_regression=self._is_regression)


def _traced(network: torch.nn.Module, predictor: Any) -> onnx.ModelProto:
    encoder = predictor.encoder
    example = (
        torch.zeros(TRACED_ROWS, encoder.num_numbers),
        torch.zeros(TRACED_ROWS, encoder.num_flags),
        torch.zeros(TRACED_ROWS, len(encoder.category_shares), dtype=torch.int64),
        torch.zeros(TRACED_ROWS, predictor.plan.outputs),
    )
    names = ["numbers", "flags", "categories", "shift"]
    averaged = _Averaged(traceable(network), is_regression=predictor.num_classes == 0).eval()
    with tempfile.TemporaryDirectory(prefix="mts-onnx-") as folder, warnings.catch_warnings():
        file = Path(folder) / "network.onnx"
        # the exporter that needs onnxscript beside onnx is to take this one's place
        warnings.simplefilter("ignore")
        torch.onnx.export(
            averaged, example, file, input_names=names, output_names=["scores"],
            dynamic_axes={name: {0: "n"} for name in [*names, "scores"]},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return onnx.load(file)
