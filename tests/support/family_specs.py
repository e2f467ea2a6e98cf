"""Every model family, estimator and architecture with a spec that fits fast, and rows of every kind to fit it on."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData, FittedModel
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import AutoSpec, HybridSpec, ModelSpec, SklearnSpec, TorchArchitecture, TorchSpec, XGBoostSpec
from training.spec.model import SklearnEstimator

QUICK = {
    "random_forest": {"n_estimators": 25},
    "extra_trees": {"n_estimators": 25},
    "hist_gradient_boosting": {"max_iter": 60},
}
QUICK_NETWORKS = {
    "mlp": {"hidden_sizes": [32], "max_epochs": 30, "learning_rate": 0.04, "n_seeds": 2},
    "tabm": {"k": 4, "d_block": 32, "max_epochs": 30, "learning_rate": 0.01},
    "ft_transformer": {"n_blocks": 1, "d_block": 16, "attention_n_heads": 2, "max_epochs": 30, "learning_rate": 0.005},
}  # fmt: skip
ONLY = {"logistic_regression": ("binary", "multiclass"), "ridge": ("regression",), "elastic_net": ("regression",)}
TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("bad", "good"), "multiclass": ("a", "b", "c"), "regression": ()}


def specs() -> Iterator[tuple[str, ModelSpec, tuple[str, ...]]]:
    """Name, spec and tasks of each."""
    yield "xgboost", XGBoostSpec(params={"n_estimators": 80, "learning_rate": 0.1}), TASKS
    for estimator in typing.get_args(SklearnEstimator):
        params = QUICK.get(estimator, {})
        yield estimator, SklearnSpec(estimator=estimator, params=params), ONLY.get(estimator, TASKS)
    for architecture in typing.get_args(TorchArchitecture):
        yield architecture, TorchSpec(architecture=architecture, params=QUICK_NETWORKS[architecture]), TASKS
    trees = [XGBoostSpec(params={"n_estimators": 60, "learning_rate": 0.1}), SklearnSpec(params={"max_iter": 30})]
    yield "stack", HybridSpec(members=trees, params={"n_folds": 3}), TASKS
    pair = [trees[0], TorchSpec(params=QUICK_NETWORKS["tabm"] | {"max_epochs": 15})]
    yield "residual", HybridSpec(strategy="residual", members=pair, params={"n_folds": 2}), TASKS
    few_leaves = {"n_folds": 2, "n_trees": 6, "max_depth": 2}
    yield "leaf_embedding", HybridSpec(strategy="leaf_embedding", members=pair, params=few_leaves), TASKS
    left_out = ["tabm", "mlp", "extra_trees", "hist_gradient_boosting", "xgboost_shallow"]
    quick = {"n_folds": 2, "max_repeats": 0, "exclude": left_out}
    yield "auto", AutoSpec(params=quick, time_budget_s=300), TASKS


def mixed_frame(rows: int, seed: int) -> pd.DataFrame:
    """Every kind of column, each with missing values where its kind can have them."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(3, 1, rows)
    amount[rng.random(rows) < 0.1] = np.nan
    city = np.array([f"city {code}" for code in rng.zipf(1.6, rows) % 400], dtype=object)
    purpose = rng.choice(np.array(["car", "house", "study", None], dtype=object), rows)
    active = rng.choice(np.array([True, False, None], dtype=object), rows, p=[0.5, 0.4, 0.1])
    since = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 100_000, rows), unit="h"))
    since[rng.random(rows) < 0.05] = pd.NaT
    return pd.DataFrame(
        {
            "amount": amount,
            "age": rng.integers(18, 90, rows),
            "purpose": purpose,
            "city": city,
            "active": active,
            "since": since,
        }
    )


KINDS = {
    "amount": "numeric",
    "age": "numeric",
    "purpose": "categorical",
    "city": "categorical",
    "active": "boolean",
    "since": "datetime",
}


def targets(frame: pd.DataFrame, task: str, seed: int) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=len(frame))
    score = np.log(frame["amount"].fillna(20.0)) + 1.5 * (frame["purpose"] == "car") + frame["age"] / 40 + noise
    if task == "regression":
        return score.to_numpy(dtype=np.float64)
    cuts = [0.5] if task == "binary" else [0.33, 0.66]
    return np.digitize(score, np.quantile(score, cuts)).astype(np.int64)


def schema_of(kinds: Mapping[str, str], task: str) -> TableSchema:
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in kinds.items())
    return TableSchema(columns, "target", task, CLASSES[task], ())


def rows_of(task: str, count: int, seed: int, *, weighted: bool = False) -> Rows:
    frame = mixed_frame(count, seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2.0, count) if weighted else None
    return Rows(frame, targets(frame, task, seed), weight)


def mixed_data(task: str, *, weighted: bool = False, validation: bool = True) -> FitData:
    held_out = rows_of(task, 100, 2, weighted=weighted) if validation else None
    return FitData(schema_of(KINDS, task), rows_of(task, 300, 1, weighted=weighted), held_out)


def fit(spec: ModelSpec, data: FitData, **context: typing.Any) -> FittedModel:
    # two threads of tiny networks mostly wait for each other, long on a busy machine
    cpus = 1 if spec.family in {"torch", "hybrid"} else 2
    return family_of(spec).fit(spec, data, FitContext(**{"seed": 7, "cpus": cpus, **context}))


def scoring_model(fitted: FittedModel, data: FitData) -> ScoringModel:
    features = tuple(Feature(column.name, column.kind) for column in data.schema.features)
    return ScoringModel(fitted.predictor, data.schema.task, data.schema.classes, features, data.schema.target, None)


ABSURD_NETWORK = {
    "k": 2, "n_blocks": 16, "d_block": 256, "schedule": "constant", "learning_rate": 1.0, "gradient_clip_norm": None,
    "dropout": 0.0, "batch_size": 16, "max_epochs": 20, "patience": 0,
}  # fmt: skip
"""Of a tabm on a regression: with so large a step the weights of so deep a network grow until its loss is beyond all
numbers."""
