"""Boosters of XGBoost as graphs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import xgboost as xgb

from training.registry.onnx_export.graph import DOUBLE, INT64, Graph, NotExpressibleError
from training.registry.onnx_export.trees import BELOW, MEMBER, Tree, ensemble

IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror")
EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")


def boosted(graph: Graph, matrix: str, booster: xgb.Booster, num_classes: int) -> str:
    """Scores, [n, classes] or [n, 1] double.

    XGBoost adds up in float32, and so does the graph, in an order of its own: the last digits may differ.

    Args:
        graph: written to.
        matrix: [n, columns] float32.
        booster: as in XGBoostPredictor.
        num_classes: 0 for regression.

    Raises:
        NotExpressibleError: it is not made of trees, or of trees with vectors in their leaves.
    """
    learner = _learner(booster)
    objective = learner["objective"]["name"]
    outputs = num_classes if num_classes > 2 else 1
    sums = ensemble(graph, matrix, _trees(learner["gradient_booster"]), outputs, np.float32)
    margins = graph.node("Add", sums, graph.constant(_base(learner, objective)[None, :], np.float32))
    if objective == "binary:logistic":
        positive = graph.cast(graph.node("Sigmoid", margins), DOUBLE)
        return graph.columns([graph.node("Sub", graph.constant(1.0), positive), positive])
    if objective == "multi:softprob":
        return graph.node("Softmax", graph.cast(margins, DOUBLE), axis=1)
    if objective in EXPONENTIAL:
        return graph.cast(graph.node("Exp", margins), DOUBLE)
    if objective in IDENTITY:
        return graph.cast(margins, DOUBLE)
    raise NotExpressibleError(f"a booster with the objective {objective}")


def leaves(graph: Graph, matrix: str, booster: xgb.Booster) -> list[str]:
    """The number of the leaf that each row falls into, for each tree, [n, 1] int64.

    Raises:
        NotExpressibleError: as `boosted`.
    """
    trees = [
        replace(tree, leaf=np.arange(len(tree.leaf), dtype=np.float64), target=place)
        for place, tree in enumerate(_trees(_learner(booster)["gradient_booster"]))
    ]
    found = graph.cast(ensemble(graph, matrix, trees, len(trees), np.float32), INT64)
    return [graph.column(found, place) for place in range(len(trees))]


def _learner(booster: xgb.Booster) -> dict[str, Any]:
    learner: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
    if learner["gradient_booster"]["name"] not in {"gbtree", "dart"}:
        raise NotExpressibleError(f"a booster of the kind {learner['gradient_booster']['name']}")
    return learner


def _base(learner: dict[str, Any], objective: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What the margins start from; the file holds it in the units of the scores."""
    scores = np.atleast_1d(np.asarray(json.loads(learner["learner_model_param"]["base_score"]), np.float64))
    if objective == "binary:logistic":
        return np.asarray(np.log(scores) - np.log1p(-scores))
    return np.log(scores) if objective in EXPONENTIAL else scores


def _trees(gradient_booster: dict[str, Any]) -> list[Tree]:
    inner = gradient_booster.get("gbtree", gradient_booster)["model"]
    drops = gradient_booster.get("weight_drop") or [1.0] * len(inner["trees"])
    return [
        _tree(tree, target, weight)
        for tree, target, weight in zip(inner["trees"], inner["tree_info"], drops, strict=True)
    ]


def _tree(tree: dict[str, Any], target: int, weight: float) -> Tree:
    """XGBoost goes left where x < value, and right where x is among the categories of a node."""
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise NotExpressibleError("trees with vectors in their leaves")
    left, right = (np.asarray(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
    is_set = np.asarray(tree["split_type"], bool) & (left >= 0)
    starts = dict(zip(tree["categories_nodes"], zip(tree["categories_segments"], tree["categories_sizes"], strict=True),
                      strict=True))  # fmt: skip
    members = {node: tree["categories"][start : start + size] for node, (start, size) in starts.items()}
    condition = np.asarray(tree["split_conditions"], np.float64)
    default_left = np.asarray(tree["default_left"], np.int64)
    return Tree(
        true=np.where(is_set, right, left),
        false=np.where(is_set, left, right),
        feature=np.asarray(tree["split_indices"], np.int64),
        value=np.where(is_set, 0.0, condition),
        mode=np.where(is_set, MEMBER, BELOW),
        missing_is_true=np.where(is_set, 1 - default_left, default_left),
        leaf=condition * weight,
        target=int(target),
        members=members,
    )
