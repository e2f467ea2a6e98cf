"""Ensembles of trees as one TreeEnsemble node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from training.registry.onnx_export.graph import ML_DOMAIN, Graph

AT_MOST, BELOW, MEMBER = 0, 1, 6
"""Modes of a node: x <= value, x < value, x among the categories of the node; where it holds the true side is taken."""
SUM = 1
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
        self._questions: dict[str, list[float]] = {name: [] for name in (
            "feature", "mode", "value", "missing", "true", "true_is_leaf", "false", "false_is_leaf",
        )}  # fmt: skip
        self._members: list[float] = []
        self._weights: list[float] = []
        self._targets: list[int] = []

    def add(self, tree: Tree) -> None:
        """One more tree; a single leaf becomes a question with that leaf on both sides."""
        is_leaf = tree.true < 0
        questions, leaves = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        first_question, first_leaf = len(self._questions["mode"]), len(self._weights)
        place = np.empty(len(is_leaf), np.int64)
        place[questions] = first_question + np.arange(len(questions))
        place[leaves] = first_leaf + np.arange(len(leaves))
        self._roots.append(first_question)
        self._weights.extend(tree.leaf[leaves].tolist())
        self._targets.extend([tree.target] * len(leaves))
        if not len(questions):
            self._append(feature=0, mode=AT_MOST, value=0.0, missing=0, true=first_leaf, true_is_leaf=1,
                         false=first_leaf, false_is_leaf=1)  # fmt: skip
        for node in questions:
            true, false = int(tree.true[node]), int(tree.false[node])
            self._append(
                feature=int(tree.feature[node]), mode=int(tree.mode[node]), value=float(tree.value[node]),
                missing=int(tree.missing_is_true[node]), true=int(place[true]), true_is_leaf=int(is_leaf[true]),
                false=int(place[false]), false_is_leaf=int(is_leaf[false]),
            )  # fmt: skip
            if tree.mode[node] == MEMBER:
                # a NaN ends the categories of a node
                self._members.extend([*(tree.members[int(node)] or [NO_CATEGORY]), np.nan])

    def _append(self, **values: float) -> None:
        for name, value in values.items():
            self._questions[name].append(value)

    def attributes(self) -> dict[str, object]:
        """By the names of the operator."""
        asked = self._questions
        given: dict[str, object] = {
            "tree_roots": self._roots,
            "nodes_featureids": asked["feature"],
            "nodes_modes": numpy_helper.from_array(np.array(asked["mode"], np.uint8)),
            "nodes_splits": numpy_helper.from_array(np.array(asked["value"], self._dtype)),
            "nodes_missing_value_tracks_true": asked["missing"],
            "nodes_truenodeids": asked["true"],
            "nodes_trueleafs": asked["true_is_leaf"],
            "nodes_falsenodeids": asked["false"],
            "nodes_falseleafs": asked["false_is_leaf"],
            "leaf_targetids": self._targets,
            "leaf_weights": numpy_helper.from_array(np.array(self._weights, self._dtype)),
        }
        if self._members:
            given["membership_values"] = numpy_helper.from_array(np.array(self._members, self._dtype))
        return given
