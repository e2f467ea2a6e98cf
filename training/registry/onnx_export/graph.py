"""Writes ONNX graphs node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 18, 5, 10
"""Operators of ai.onnx and ai.onnx.ml, of which 5 brings TreeEnsemble with sets of categories; onnxruntime 1.20 and
later read them."""
ML_DOMAIN = "ai.onnx.ml"

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING


class NotExpressibleError(ValueError):
    """The model has a part for which there is no ONNX here; the message says which."""


class Graph:
    """Nodes, constants and inputs so far. A value is known by its name; each method answers the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._made: dict[int, tuple[object, onnx.ModelProto]] = {}

    def input(self, name: str, kind: int) -> str:
        """A raw column, [n, 1]."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["n", 1]))
        return name

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> str:
        """A tensor."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The only output of an operator."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], domain=domain, **attributes))
        return name

    def once(self, part: object, make: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
        """What is made of a part of the model; made once, however often it is embedded."""
        if id(part) not in self._made:
            self._made[id(part)] = (part, make())
        return self._made[id(part)][1]

    def embedded(self, model: onnx.ModelProto, inputs: Sequence[str]) -> str:
        """The only output of another model, with its inputs in order taken from here."""
        prefixed = onnx.compose.add_prefix(model, f"m{len(self._nodes)}.").graph
        given = {value.name: name for value, name in zip(prefixed.input, inputs, strict=True)}
        for node in prefixed.node:
            node.input[:] = [given.get(name, name) for name in node.input]
        self._nodes.extend(prefixed.node)
        self._constants.extend(prefixed.initializer)
        return str(prefixed.output[0].name)

    def cast(self, value: str, kind: int) -> str:
        """The value in another type."""
        return self.node("Cast", value, to=kind)

    def columns(self, values: Sequence[str]) -> str:
        """Side by side, [n, sum of widths]."""
        return self.node("Concat", *values, axis=1)

    def column(self, value: str, place: int) -> str:
        """One column of a matrix, [n, 1]."""
        return self.node("Gather", value, self.constant([place], np.int64), axis=1)

    def model(self, output: str, width: int) -> onnx.ModelProto:
        """The checked model; its output is called `scores`, [n, width] double.

        Raises:
            onnx.checker.ValidationError: a node is not as its operator asks.
        """
        self._nodes.append(helper.make_node("Identity", [output], ["scores"]))
        graph = helper.make_graph(
            self._nodes, "scores", self._inputs, [helper.make_tensor_value_info("scores", DOUBLE, ["n", width])],
            initializer=self._constants,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mts")
        onnx.checker.check_model(made)
        return made


def interpolated(graph: Graph, value: str, knots: Sequence[float], heights: Sequence[float]) -> str:
    """numpy.interp: linear between the knots, flat outside of them. `value` is [n, 1] double without NaN."""
    if len(knots) == 1:
        return graph.node("Add", graph.node("Mul", value, graph.constant(0.0)), graph.constant(heights[0]))
    position = np.asarray(knots, np.float64)
    height = np.asarray(heights, np.float64)
    slopes = np.diff(height) / np.diff(position)
    inside = graph.node("Clip", value, graph.constant(position[0]), graph.constant(position[-1]))
    beyond = graph.cast(graph.node("GreaterOrEqual", inside, graph.constant(position[None, 1:-1])), INT64)
    place = graph.node("ReduceSum", beyond, graph.constant([1], np.int64), keepdims=1)
    start, rise, base = (graph.node("Gather", graph.constant(of), place) for of in (position[:-1], slopes, height[:-1]))
    return graph.node("Add", graph.node("Mul", graph.node("Sub", inside, start), rise), base)
