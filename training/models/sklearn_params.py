"""The estimators of the sklearn family and the checks of their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from training.errors import Problem, SpecError, nearest, shown
from training.models.base import FitContext
from training.models.fitting import plain_message
from training.mts_scoring.encoder import Style


@dataclass(frozen=True)
class Entry:
    """An estimator: its class for classification and for regression, the encoding, and our defaults."""

    classifier: type | None
    regressor: type | None
    style: Style
    defaults: Mapping[str, Any]
    is_forest: bool = False


# min_samples_leaf 2 halves a forest and, where probabilities are measured, calibrates it better than pure leaves
_FOREST = {"n_estimators": 200, "min_samples_leaf": 2}

ESTIMATORS: dict[str, Entry] = {
    # 100 iterations, the library's default, often end before lbfgs has converged
    "logistic_regression": Entry(LogisticRegression, None, "linear", {"max_iter": 1000}),
    "ridge": Entry(None, Ridge, "linear", {}),
    # the library's alpha of 1 sets most coefficients of a standardised table to zero
    "elastic_net": Entry(None, ElasticNet, "linear", {"alpha": 0.01, "max_iter": 5000}),
    "random_forest": Entry(RandomForestClassifier, RandomForestRegressor, "tree", _FOREST, is_forest=True),
    "extra_trees": Entry(ExtraTreesClassifier, ExtraTreesRegressor, "tree", _FOREST, is_forest=True),
    "hist_gradient_boosting": Entry(
        HistGradientBoostingClassifier, HistGradientBoostingRegressor, "tree", {"learning_rate": 0.05}
    ),
}

RESERVED = {
    "n_jobs": "set resources.cpus_per_worker instead",
    "random_state": "set split.seed instead",
    "warm_start": "it is used inside",
    "verbose": "progress is reported as events",
    "categorical_features": "categorical columns are always used natively",
    "validation_fraction": "set split.validation_size instead",
    "copy_X": "it does not change the model",
    "monotonic_cst": "use the xgboost family with monotone_constraints",
    "interaction_cst": "use the xgboost family with interaction_constraints",
}


@dataclass(frozen=True)
class Plan:
    """A checked estimator."""

    name: str
    entry: Entry
    estimator_class: Any
    params: dict[str, Any]

    @property
    def style(self) -> Style:
        """How the rows are encoded."""
        return self.entry.style

    @property
    def is_forest(self) -> bool:
        """Whether trees can be added one by one."""
        return self.entry.is_forest

    def build(self, context: FitContext) -> Any:
        """The unfitted estimator with the seed and the CPUs of the context."""
        estimator = self.estimator_class(**self.params)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=context.seed)
        if self.is_forest:
            estimator.set_params(n_jobs=context.cpus)
        return estimator


def plan_estimator(name: str, given: Mapping[str, Any], task: str, classes: tuple[str, ...]) -> Plan:
    """Finds the estimator and checks its parameters with scikit-learn's own validation.

    Args:
        name: key of ESTIMATORS.
        given: parameters of the spec.
        task: binary, multiclass or regression.
        classes: labels in the order of their codes, for weights by class; empty while they are not known.

    Raises:
        SpecError: the estimator does not suit the task, or a parameter is unknown, reserved or wrong.
    """
    entry = ESTIMATORS[name]
    estimator_class = entry.regressor if task == "regression" else entry.classifier
    if estimator_class is None:
        suitable = [
            key for key, other in ESTIMATORS.items() if (other.regressor if task == "regression" else other.classifier)
        ]
        raise SpecError.at("model.estimator", name, f"does not suit a {task} task; possible: {', '.join(suitable)}")
    _check_names(name, given, estimator_class)
    params = {**entry.defaults, **given}
    if classes and isinstance(params.get("class_weight"), dict):
        params["class_weight"] = _weights_by_code(params["class_weight"], classes)
    _check_values(estimator_class, params)
    return Plan(name, entry, estimator_class, params)


def _check_names(estimator: str, given: Mapping[str, Any], estimator_class: Any) -> None:
    known = sorted(estimator_class().get_params().keys() - RESERVED.keys())
    problems = [
        Problem(f"model.params.{name}", shown(value), f"reserved: {RESERVED[name]}")
        if name in RESERVED
        else Problem(f"model.params.{name}", shown(value), f"{estimator} has no such parameter{nearest(name, known)}")
        for name, value in given.items()
        if name not in known
    ]
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)


def _check_values(estimator_class: Any, params: Mapping[str, Any]) -> None:
    try:
        # private, but the one place where scikit-learn checks parameters without data; `fit` calls the same
        estimator_class(**params)._validate_params()
    except ValueError as error:
        named = re.search(r"'(\w+)' parameter", str(error))
        name = named[1] if named else ""
        raise SpecError.at(f"model.params.{name}".rstrip("."), shown(params.get(name)), plain_message(error)) from None


def _weights_by_code(weights: Mapping[Any, Any], classes: tuple[str, ...]) -> dict[int, float]:
    by_code = {}
    for label, weight in weights.items():
        if str(label) not in classes:
            raise SpecError.at(
                f"model.params.class_weight.{label}", shown(weight), f"no such class{nearest(str(label), classes)}"
            )
        by_code[classes.index(str(label))] = weight
    return by_code
