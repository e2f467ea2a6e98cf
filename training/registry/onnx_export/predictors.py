"""Predictors as graphs: each kind that has one, and how kinds are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from training.mts_scoring.calibrated_predictor import Calibration
from training.mts_scoring.combination import SMALLEST, Combination
from training.mts_scoring.leaf_predictor import LEAF_PREFIX, LEAVES_OF_A_FOREST
from training.mts_scoring.predictor import Predictor
from training.registry.onnx_export.boosters import boosted, leaves
from training.registry.onnx_export.estimators import estimated
from training.registry.onnx_export.graph import STRING, Graph, NotExpressibleError, interpolated
from training.registry.onnx_export.inputs import encoded, looked_up
from training.registry.onnx_export.networks import networked

Raw = Mapping[str, str]
"""Inputs of the graph, by raw column."""


def scored(graph: Graph, predictor: Any, raw: Raw) -> str:
    """Scores of a predictor: [n, classes] probabilities or [n, 1] values, double.

    Raises:
        NotExpressibleError: names the kind of predictor that has no graph.
    """
    if predictor.kind not in KINDS:
        raise NotExpressibleError(f"a model of the kind {predictor.kind}")
    return KINDS[predictor.kind](graph, predictor, raw)


def _xgboost(graph: Graph, predictor: Any, raw: Raw) -> str:
    return boosted(graph, encoded(graph, predictor.encoder, raw), predictor.booster, predictor.num_classes)


def _sklearn(graph: Graph, predictor: Any, raw: Raw) -> str:
    return estimated(graph, encoded(graph, predictor.encoder, raw), predictor.estimator, predictor.num_classes)


def _calibrated(graph: Graph, predictor: Any, raw: Raw) -> str:
    scores, calibration = scored(graph, predictor.inner, raw), predictor.calibration
    return _temperature(graph, scores, calibration) if calibration.method == "temperature" else _isotonic(
        graph, scores, calibration
    )  # fmt: skip


def _temperature(graph: Graph, scores: str, calibration: Calibration) -> str:
    divided = graph.node("Div", _logarithm(graph, scores), graph.constant(calibration.temperature))
    return graph.node("Softmax", divided, axis=1)


def _isotonic(graph: Graph, scores: str, calibration: Calibration) -> str:
    positive = interpolated(graph, graph.column(scores, 1), calibration.knots, calibration.values)
    return graph.columns([graph.node("Sub", graph.constant(1.0), positive), positive])


def _constant(graph: Graph, predictor: Any, raw: Raw) -> str:
    if not raw:
        raise NotExpressibleError("a model without columns")
    first = graph.node("Shape", next(iter(raw.values())), start=0, end=1)
    shape = graph.node("Concat", first, graph.constant([len(predictor.values)], np.int64), axis=0)
    return graph.node("Expand", graph.constant(np.asarray(predictor.values)[None, :]), shape)


def _stack(graph: Graph, predictor: Any, raw: Raw) -> str:
    return _combined(graph, [_mean(graph, models, raw) for models in predictor.members], predictor.combination)


def _mean(graph: Graph, models: Sequence[Predictor], raw: Raw) -> str:
    """Mean over models of the same member."""
    return _averaged(graph, [scored(graph, model, raw) for model in models])


def _averaged(graph: Graph, parts: Sequence[str]) -> str:
    # onnxruntime has no Mean of doubles
    return parts[0] if len(parts) == 1 else graph.node("Div", graph.node("Sum", *parts), graph.constant(len(parts)))


def _residual(graph: Graph, predictor: Any, raw: Raw) -> str:
    margins = _mean(graph, predictor.trees, raw)
    if predictor.network.num_classes:
        margins = _logarithm(graph, margins)
    return networked(graph, predictor.network, raw, margins)


def _features(graph: Graph, predictor: Any, raw: Raw) -> str:
    made = {name: value for step in predictor.steps for name, value in looked_up(graph, step.state(), raw).items()}
    return scored(graph, predictor.inner, {**raw, **made})


def _leaf_embedding(graph: Graph, predictor: Any, raw: Raw) -> str:
    """The mean over forests of what the network says to their leaves, which it reads as labels."""
    parts = []
    for number, forest in enumerate(predictor.forests):
        found = leaves(graph, encoded(graph, forest.encoder, raw), forest.booster)
        first = graph.constant(number * LEAVES_OF_A_FOREST, np.int64)
        labels = [graph.cast(graph.node("Add", leaf, first), STRING) for leaf in found]
        named = {f"{LEAF_PREFIX}{tree}": label for tree, label in enumerate(labels)}
        parts.append(scored(graph, predictor.network, {**raw, **named}))
    return _averaged(graph, parts)


def _combined(graph: Graph, scores: Sequence[str], combination: Combination) -> str:
    is_log = combination.kind == "log"
    weighted = [
        graph.node("Mul", _logarithm(graph, score) if is_log else score, graph.constant(weight))
        for weight, score in zip(combination.weights, scores, strict=True)
    ]
    total = weighted[0] if len(weighted) == 1 else graph.node("Sum", *weighted)
    if combination.bias:
        total = graph.node("Add", total, graph.constant(np.atleast_1d(combination.bias)))
    if is_log:
        return graph.node("Softmax", total, axis=1)
    return total


def _logarithm(graph: Graph, scores: str) -> str:
    return graph.node("Log", graph.node("Max", scores, graph.constant(SMALLEST)))


KINDS: Mapping[str, Callable[[Graph, Any, Raw], str]] = {
    "xgboost": _xgboost, "sklearn": _sklearn, "calibrated": _calibrated, "constant": _constant, "stack": _stack,
    "mlp": networked, "tabm": networked, "ft_transformer": networked, "residual": _residual, "features": _features,
    "leaf_embedding": _leaf_embedding,
}  # fmt: skip
