"""TreeSHAP (Lundberg et al. 2020): exact Shapley values of tree ensembles."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from training.evaluation.contributions import Contributions, by_raw_column
from training.evaluation.statistic import FloatArray
from training.mts_scoring.calibrated_predictor import CalibratedPredictor
from training.mts_scoring.predictor import Predictor
from training.mts_scoring.sklearn_predictor import SklearnPredictor, estimator_input
from training.mts_scoring.xgboost_predictor import XGBoostPredictor

FORESTS = frozenset({"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"})
MAX_NODE_ROWS = 3_000_000
"""Nodes of the forest times rows: about a second of TreeSHAP. A larger forest explains fewer rows."""
MAX_SPLIT_ROWS = 20_000_000
"""Splits of the booster times rows: one to two seconds of XGBoost's own TreeSHAP on two cores at depth 6."""
MIN_BOOSTER_ROWS = 100
MIN_ROWS = 50
"""Where the forest is so large that fewer rows could be explained, the sampled explainer takes over."""


def explain_trees(predictor: Predictor, frame: pd.DataFrame) -> Contributions | None:
    """Contributions of the first rows, the fewer the larger the ensemble, so that the cost stays bounded.

    None for a predictor that is no tree ensemble, or that TreeSHAP cannot read.
    """
    if isinstance(predictor, CalibratedPredictor):
        # the correction moves all probabilities by one rising curve, so that what matters is the same without it
        inner = explain_trees(predictor.inner, frame)
        return None if inner is None else replace(inner, unit=f"{inner.unit}, before the probabilities are corrected")
    if isinstance(predictor, XGBoostPredictor):
        return _booster(predictor, frame)
    if isinstance(predictor, SklearnPredictor) and type(predictor.estimator).__name__ in FORESTS:
        return _forest(predictor, frame)
    return None


def _booster(predictor: XGBoostPredictor, frame: pd.DataFrame) -> Contributions | None:
    """By XGBoost's own code: the same numbers as the shap package's, which takes a second to import."""
    if "gblinear" in predictor.booster.save_config():
        return None
    encoder = predictor.encoder
    splits = sum(predictor.booster.get_score(importance_type="weight").values())
    frame = frame.head(max(MIN_BOOSTER_ROWS, int(MAX_SPLIT_ROWS // max(1, splits))))
    kinds = ["c" if categorical else "q" for categorical in encoder.is_categorical]
    matrix = xgb.DMatrix(encoder.transform(frame), feature_types=kinds, enable_categorical=True)
    raw = np.asarray(predictor.booster.predict(matrix, pred_contribs=True), dtype=np.float64)
    by_output = raw[:, :, None] if raw.ndim == 2 else raw.transpose(0, 2, 1)
    units = {0: "the target's unit", 2: "log-odds"}
    return Contributions(
        columns=encoder.columns,
        phi=by_raw_column(by_output[:, :-1], encoder),
        base=by_output[0, -1],
        method="TreeSHAP",
        unit=units.get(predictor.num_classes, "log-odds of each class"),
    )


def _forest(predictor: SklearnPredictor, frame: pd.DataFrame) -> Contributions | None:
    nodes = sum(tree.tree_.node_count for tree in predictor.estimator.estimators_)
    rows = min(len(frame), MAX_NODE_ROWS // nodes)
    if rows < min(len(frame), MIN_ROWS):
        return None
    with warnings.catch_warnings():
        # about matplotlib's colour maps, which it makes when it is imported
        warnings.simplefilter("ignore")
        import shap  # noqa: PLC0415 - 0.7 to 1.5 s and 100 MB, which a job without a forest must not pay

    shown = frame.head(rows)
    explainer: Any = shap.TreeExplainer(predictor.estimator, feature_perturbation="tree_path_dependent")
    matrix = estimator_input(predictor.encoder, shown)
    values: FloatArray = np.asarray(explainer.shap_values(matrix, check_additivity=False), dtype=np.float64)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
    values = values[:, :, None] if values.ndim == 2 else values
    if predictor.num_classes == 2:
        values, base = values[:, :, 1:], base[1:]
    return Contributions(
        columns=predictor.encoder.columns,
        phi=by_raw_column(values, predictor.encoder),
        base=base,
        method="TreeSHAP",
        unit="probability" if predictor.num_classes else "the target's unit",
    )
