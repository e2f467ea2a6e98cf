"""The `model` part of a spec: one class per family, chosen by the field `family`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from training.spec.base import SpecModel

SklearnEstimator = Literal[
    "logistic_regression",
    "ridge",
    "elastic_net",
    "random_forest",
    "extra_trees",
    "hist_gradient_boosting",
]


class SklearnSpec(SpecModel):
    """An estimator of scikit-learn; the classifier or the regressor is chosen by the task."""

    family: Literal["sklearn"] = "sklearn"
    estimator: SklearnEstimator = "hist_gradient_boosting"
    params: dict[str, Any] = {}
    """Arguments of the estimator, by scikit-learn's names."""


TreeFeature = Literal["target_encoding", "counts", "crosses", "aggregates"]


class XGBoostSpec(SpecModel):
    """Boosted trees with early stopping on the validation rows and native categorical splits."""

    family: Literal["xgboost"] = "xgboost"
    params: dict[str, Any] = {}
    """Arguments by the names of XGBoost's scikit-learn interface; native aliases such as `eta` work too."""
    features: list[TreeFeature] = []
    """Columns that are made of others and are part of the registered model, which takes raw rows.
    target_encoding, counts: of categorical columns with more than 20 values, the mean of the target by category, out of
    target_encoding, counts: of categorical columns of more than 20 values the mean of the target by category, out of
    that say more together than one by one. aggregates: by how much a number differs from the mean of its category,
    where that says more than the number."""


TorchArchitecture = Literal["mlp", "tabm", "ft_transformer"]


class TorchSpec(SpecModel):
    """A neural network of PyTorch, with early stopping on the validation rows."""

    family: Literal["torch"] = "torch"
    architecture: TorchArchitecture = "tabm"
    """mlp: RealMLP. tabm: an ensemble of MLPs that share weights. ft_transformer: attention over the columns."""
    params: dict[str, Any] = {}
    """Of the architecture and of its training, such as {"n_seeds": 3, "learning_rate": 0.001}."""


MemberSpec = Annotated[SklearnSpec | XGBoostSpec | TorchSpec, Field(discriminator="family")]
HybridStrategy = Literal["stack", "leaf_embedding", "residual"]


class HybridSpec(SpecModel):
    """Trees and nets together, out of fold by construction: no model learns from a score of a row that another model
    learnt from."""

    family: Literal["hybrid"] = "hybrid"
    strategy: HybridStrategy = "stack"
    """stack: members fitted over folds, combined by their out-of-fold scores. leaf_embedding: a net reads the leaves of
    boosted trees. residual: a net corrects the trees' margin."""
    members: Annotated[list[MemberSpec], Field(max_length=32)] = []
    """stack: two or more; default boosted trees, TabM and a linear model. The others: boosted trees (xgboost) and a net
    (torch), in this order."""
    params: dict[str, Any] = {}
    """Of the strategy, such as {"n_folds": 5, "combiner": "linear"}."""


class AutoSpec(SpecModel):
    """Tries families in the order of what they are likely to gain, combines them, and stops in time."""

    family: Literal["auto"] = "auto"
    time_budget_s: Annotated[float, Field(gt=0)] | None = None
    """For the fit. Default: what the job's own time_budget_s leaves, or 60 s where it has none."""
    params: dict[str, Any] = {}
    """Such as {"n_folds": 5, "exclude": ["mlp"]}."""


ModelSpec = Annotated[SklearnSpec | XGBoostSpec | TorchSpec | HybridSpec | AutoSpec, Field(discriminator="family")]
