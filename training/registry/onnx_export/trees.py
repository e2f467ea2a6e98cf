"""Ensembles of trees as one TreeEnsemble node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from training.registry.onnx_export.graph import ML_DOMAIN, Graph, NotExpressibleError

AT_MOST, BELOW, MEMBER = 0, 1, 6
"""Modes of a node: x <= value, x < value, x among the categories of the node; where it holds the true side is taken."""
SUM = 1
MAX_QUESTIONS = 4_000_000
"""Of one ensemble: a file that holds more may reach the 2 GB that ONNX's format allows, and is no help to anybody."""
NO_CATEGORY = -1.0
"""For a node that asks for no category at all: codes begin at 0."""


@dataclass(frozen=True)
class Tree:
    """One tree as arrays over its nodes; the root is node 0.

    `true` and `false`: [nodes] the next node, -1 in both for a leaf. `feature`, `value`, `mode`: [nodes] of the
    question. `missing_is_true`: [nodes] the side of NaN. `leaf`: [nodes] what a leaf adds. `target`: to which output.
    `members`: categories of the nodes that ask for them.
    """

    true: npt.NDArray[np.int64]
    false: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    mode: npt.NDArray[np.int64]
    missing_is_true: npt.NDArray[np.int64]
    leaf: npt.NDArray[np.float64]
    target: int = 0
    members: Mapping[int, Sequence[float]] = field(default_factory=dict)


def ensemble(graph: Graph, matrix: str, trees: Sequence[Tree], outputs: int, dtype: type[np.floating]) -> str:
    """The sums of the trees' leaves, [n, outputs] of `dtype`, which is also the type of the matrix."""
    made = _Attributes(dtype)
    for tree in trees:
        made.add(tree)
    return graph.node(
        "TreeEnsemble", matrix, domain=ML_DOMAIN, n_targets=outputs, aggregate_function=SUM, **made.attributes()
    )


class _Attributes:
    """Questions and leaves of all trees, each numbered through, as TreeEnsemble takes them."""

    def __init__(self, dtype: type[np.floating]) -> None:
        self._dtype = dtype
        self._roots: list[int] = []
        self._parts: list[dict[str, npt.NDArray[Any]]] = []
        self._questions = self._leaves = 0
        self._members: list[float] = []

    def add(self, tree: Tree) -> None:
        """One more tree; a single leaf becomes a question with that leaf on both sides."""
        is_leaf = tree.true < 0
        questions, leaves = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        place = np.empty(len(is_leaf), np.int64)
        place[questions] = self._questions + np.arange(len(questions))
        place[leaves] = self._leaves + np.arange(len(leaves))
        asking = questions if len(questions) else np.zeros(1, np.int64)
        true, false = (side[asking] if len(questions) else asking for side in (tree.true, tree.false))
        self._parts.append({
            "feature": np.maximum(tree.feature[asking], 0), "missing": tree.missing_is_true[asking],
            "mode": tree.mode[asking] if len(questions) else np.array([AT_MOST]), "value": tree.value[asking],
            "true": place[true], "true_is_leaf": is_leaf[true].astype(np.int64),
            "false": place[false], "false_is_leaf": is_leaf[false].astype(np.int64),
            "weight": tree.leaf[leaves], "target": np.full(len(leaves), tree.target),
        })  # fmt: skip
        for node in questions[tree.mode[questions] == MEMBER]:
            # a NaN ends the categories of a node
            self._members.extend([*(tree.members[int(node)] or [NO_CATEGORY]), np.nan])
        self._roots.append(self._questions)
        self._questions += len(asking)
        self._leaves += len(leaves)
        if self._questions > MAX_QUESTIONS:
            raise NotExpressibleError(f"trees of more than {MAX_QUESTIONS:,} questions")

    def attributes(self) -> dict[str, object]:
        """By the names of the operator."""
        every = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        given: dict[str, object] = {
            "tree_roots": self._roots,
            "nodes_featureids": every["feature"].tolist(),
            "nodes_modes": numpy_helper.from_array(every["mode"].astype(np.uint8)),
            "nodes_splits": numpy_helper.from_array(every["value"].astype(self._dtype)),
            "nodes_missing_value_tracks_true": every["missing"].tolist(),
            "nodes_truenodeids": every["true"].tolist(),
            "nodes_trueleafs": every["true_is_leaf"].tolist(),
            "nodes_falsenodeids": every["false"].tolist(),
            "nodes_falseleafs": every["false_is_leaf"].tolist(),
            "leaf_targetids": every["target"].tolist(),
            "leaf_weights": numpy_helper.from_array(every["weight"].astype(self._dtype)),
        }
        if self._members:
            given["membership_values"] = numpy_helper.from_array(np.array(self._members, self._dtype))
        return given
