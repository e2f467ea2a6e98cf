"""Estimators of scikit-learn as graphs, in float64 as they compute themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.registry.onnx_export.graph import DOUBLE, Graph, NotExpressibleError
from training.registry.onnx_export.trees import AT_MOST, MEMBER, Tree, ensemble

LINEAR = ("LogisticRegression", "Ridge", "ElasticNet")
FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
BOOSTED = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def estimated(graph: Graph, matrix: str, estimator: Any, num_classes: int) -> str:
    """Scores, [n, classes] or [n, 1] double.

    Args:
        graph: written to.
        matrix: [n, columns] float32.
        estimator: as in SklearnPredictor.
        num_classes: 0 for regression.

    Raises:
        NotExpressibleError: there is no graph for that estimator.
    """
    kind, wide = type(estimator).__name__, graph.cast(matrix, DOUBLE)
    if kind in LINEAR:
        scores = _linear(graph, wide, estimator)
    elif kind in FORESTS:
        scores = _forest(graph, wide, estimator)
    elif kind in BOOSTED:
        scores = _histogram(graph, wide, estimator)
    else:
        raise NotExpressibleError(f"an estimator of the kind {kind}")
    return _all_classes(graph, scores, estimator, num_classes) if num_classes else scores


def _all_classes(graph: Graph, scores: str, estimator: Any, num_classes: int) -> str:
    """A column for each class; one without training rows keeps probability zero."""
    known = {int(code): place for place, code in enumerate(estimator.classes_)}
    if list(known) == list(range(num_classes)):
        return scores
    nothing = graph.node("Mul", graph.column(scores, 0), graph.constant(0.0))
    return graph.columns([
        graph.column(scores, known[code]) if code in known else nothing for code in range(num_classes)
    ])  # fmt: skip


def _linear(graph: Graph, matrix: str, estimator: Any) -> str:
    coefficients = np.atleast_2d(estimator.coef_).T
    product = graph.node("MatMul", matrix, graph.constant(coefficients))
    decision = graph.node("Add", product, graph.constant(np.atleast_1d(estimator.intercept_)))
    return _probabilities(graph, decision, coefficients.shape[1]) if hasattr(estimator, "classes_") else decision


def _probabilities(graph: Graph, decision: str, outputs: int) -> str:
    """Of the decision function: one column for two classes, else one for each."""
    if outputs > 1:
        return graph.node("Softmax", decision, axis=1)
    positive = graph.node("Sigmoid", decision)
    return graph.columns([graph.node("Sub", graph.constant(1.0), positive), positive])


def _forest(graph: Graph, matrix: str, estimator: Any) -> str:
    """The mean of the trees; a tree of k classes is written k times, as a leaf has one weight."""
    outputs = len(estimator.classes_) if hasattr(estimator, "classes_") else 1
    trees = [_plain_tree(member.tree_, target, len(estimator.estimators_)) for member in estimator.estimators_
             for target in range(outputs)]  # fmt: skip
    return ensemble(graph, matrix, trees, outputs, np.float64)


def _plain_tree(tree: Any, target: int, count: int) -> Tree:
    nodes = len(tree.feature)
    return Tree(
        true=np.asarray(tree.children_left, np.int64),
        false=np.asarray(tree.children_right, np.int64),
        feature=np.asarray(tree.feature, np.int64),
        value=np.asarray(tree.threshold, np.float64),
        mode=np.full(nodes, AT_MOST),
        missing_is_true=np.asarray(tree.missing_go_to_left, np.int64),
        leaf=tree.value[:, 0, target] / count,
        target=target,
    )


def _histogram(graph: Graph, matrix: str, estimator: Any) -> str:
    order, labels = _order_of(estimator)
    trees = [_binned_tree(predictor, order, labels, target) for iteration in estimator._predictors
             for target, predictor in enumerate(iteration)]  # fmt: skip
    outputs = estimator.n_trees_per_iteration_
    sums = ensemble(graph, matrix, trees, outputs, np.float64)
    raw = graph.node("Add", sums, graph.constant(np.asarray(estimator._baseline_prediction).reshape(1, -1)))
    if hasattr(estimator, "classes_"):
        return _probabilities(graph, raw, outputs)
    link = type(estimator._loss.link).__name__
    if link not in {"IdentityLink", "LogLink"}:
        raise NotExpressibleError(f"a histogram gradient boosting with a {link}")
    return graph.node("Exp", raw) if link == "LogLink" else raw


def _order_of(estimator: Any) -> tuple[list[int], list[Any]]:
    """The matrix's column at each place that the trees read, and the value behind each code of a categorical one: the
    estimator puts those first, and numbers their values."""
    width = estimator.n_features_in_
    categorical = estimator.is_categorical_
    if categorical is None or not estimator._preprocessor:
        return list(range(width)), []
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    chosen = np.flatnonzero(estimator._is_categorical_remapped)
    first = [place for place in range(width) if place < len(chosen)]
    if list(chosen) != first:
        raise NotExpressibleError("a histogram gradient boosting whose categorical columns do not come first")
    mask = np.asarray(estimator.is_categorical_, bool)
    return [*np.flatnonzero(mask), *np.flatnonzero(~mask)], [
        np.asarray(values, float) for values in encoder.categories_
    ]


def _binned_tree(predictor: Any, order: list[int], labels: list[Any], target: int) -> Tree:
    nodes = predictor.nodes
    is_leaf, is_set = nodes["is_leaf"].astype(bool), nodes["is_categorical"].astype(bool)
    feature = np.asarray(order, np.int64)[nodes["feature_idx"].astype(np.int64)]
    members = {}
    for node in np.flatnonzero(is_set & ~is_leaf):
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        values = labels[int(nodes["feature_idx"][node])]
        members[int(node)] = [
            float(value)
            for code, value in enumerate(values)
            if not np.isnan(value) and words[code // 32] >> (code % 32) & 1
        ]
    return Tree(
        true=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        false=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        feature=feature,
        value=np.where(is_set, 0.0, nodes["num_threshold"]),
        mode=np.where(is_set, MEMBER, AT_MOST),
        missing_is_true=nodes["missing_go_to_left"].astype(np.int64),
        leaf=nodes["value"].astype(np.float64),
        target=target,
        members=members,
    )
