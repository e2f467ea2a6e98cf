"""The parameters of the xgboost family: names, aliases, what is reserved, what XGBoost itself says to the values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import xgboost as xgb

from training.errors import Problem, SpecError, nearest, shown
from training.models.fitting import plain_message

DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.05,
    "max_depth": 6,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
}
ROUNDS_WITH_VALIDATION = 2000
ROUNDS_WITHOUT_VALIDATION = 300
EARLY_STOPPING_ROUNDS = 50

ALIASES = {
    "eta": "learning_rate",
    "alpha": "reg_alpha",
    "lambda": "reg_lambda",
    "min_split_loss": "gamma",
    "num_boost_round": "n_estimators",
    "num_round": "n_estimators",
    "seed": "random_state",
    "nthread": "n_jobs",
    "gpu_id": "device",
}
NATIVE_ONLY = (
    "huber_slope", "lambdarank_unbiased", "max_cached_hist_node", "normalize_type", "one_drop", "rate_drop",
    "sample_type", "skip_drop", "tweedie_variance_power",
)  # fmt: skip
"""Native parameters that the scikit-learn interface takes as keyword arguments and this family supports."""

RESERVED = {
    "n_jobs": "set resources.cpus_per_worker instead",
    "device": "set resources.gpus_per_worker instead",
    "random_state": "set split.seed instead",
    "num_class": "it follows from the data",
    "feature_types": "they follow from the data",
    "enable_categorical": "categorical columns are always used natively",
    "missing": "missing values are always NaN inside",
    "callbacks": "code cannot be part of a spec",
    "importance_type": "it belongs to the evaluation",
    "feature_weights": "not supported",
    "multi_strategy": "there is one target",
    "validate_parameters": "parameters are always validated",
    "verbosity": "progress is reported as events",
    "process_type": "a fit always builds new trees",
    "updater": "choose tree_method",
}

# objective -> metric that early stopping watches by default
OBJECTIVES: dict[str, dict[str, str]] = {
    "binary": {"binary:logistic": "logloss"},
    "multiclass": {"multi:softprob": "mlogloss"},
    "regression": {
        "reg:squarederror": "rmse", "reg:squaredlogerror": "rmsle", "reg:absoluteerror": "mae",
        "reg:gamma": "gamma-nloglik", "reg:pseudohubererror": "mphe", "reg:tweedie": "rmse",
        "count:poisson": "poisson-nloglik",
    },
}  # fmt: skip
# metric -> name under which it is reported
METRICS: dict[str, dict[str, str]] = {
    "binary": {"logloss": "log_loss", "auc": "roc_auc", "aucpr": "average_precision", "error": "error"},
    "multiclass": {"mlogloss": "log_loss", "merror": "error", "auc": "roc_auc_ovr"},
    "regression": {
        "rmse": "rmse", "mae": "mae", "rmsle": "rmsle", "mape": "mape", "mphe": "pseudo_huber",
        "gamma-nloglik": "gamma_nloglik", "poisson-nloglik": "poisson_nloglik",
    },
}  # fmt: skip
CONSTRAINTS = ("monotone_constraints", "interaction_constraints")
MAXIMIZED = frozenset({"auc", "aucpr"})


@dataclass(frozen=True)
class BoostingPlan:
    """Checked parameters.

    `params` go to XGBoost as they are; `constraints` name raw columns and are translated once the columns are known.
    `num_rounds` and `patience` None mean the default, which depends on whether there are validation rows; patience 0
    switches early stopping off.
    """

    params: dict[str, Any]
    constraints: dict[str, Any]
    num_rounds: int | None
    patience: int | None
    metric: str
    metric_name: str

    @property
    def maximize(self) -> bool:
        """Whether more of the watched metric is better."""
        return self.metric in MAXIMIZED


@cache
def known_names() -> frozenset[str]:
    """Parameters by the names of XGBoost's scikit-learn interface, and the native ones that it lacks."""
    signature = inspect.signature(xgb.XGBModel.__init__).parameters
    return frozenset(signature) - {"self", "kwargs"} | set(NATIVE_ONLY)


def plan_boosting(given: Mapping[str, Any], task: str) -> BoostingPlan:
    """Resolves names and checks values, with XGBoost's own validation.

    Raises:
        SpecError: one problem per parameter at fault, as far as they can be told apart.
    """
    values, spelling = _resolve_names(given)
    constraints: dict[str, Any] = {name: values.pop(name) for name in CONSTRAINTS if name in values}
    num_rounds = _whole(values, spelling, "n_estimators", low=1)
    patience = _whole(values, spelling, "early_stopping_rounds", low=0)
    objective = _choice(values, "objective", OBJECTIVES[task], task)
    metric = _choice(values, "eval_metric", METRICS[task], task, default=OBJECTIVES[task][objective])
    if values.get("booster", "gbtree") != "gbtree":
        raise _wrong("booster", values["booster"], "only gbtree; for a linear model use family sklearn")
    _check_constraints(constraints)
    params = DEFAULTS | values | {"objective": objective, "eval_metric": metric}
    _ask_xgboost(params, spelling, task)
    return BoostingPlan(params, constraints, num_rounds, patience, metric, METRICS[task][metric])


def _resolve_names(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by canonical name without those that are None, and the spelling in which each was given."""
    values: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    problems = []
    for name, value in given.items():
        canonical = ALIASES.get(name, name)
        field = f"model.params.{name}"
        if canonical in RESERVED:
            problems.append(Problem(field, shown(value), f"reserved: {RESERVED[canonical]}"))
        elif canonical not in known_names():
            known = sorted(known_names() - RESERVED.keys() | ALIASES.keys())
            problems.append(Problem(field, shown(value), f"xgboost has no such parameter{nearest(name, known)}"))
        elif canonical in spelling:
            problems.append(
                Problem(field, shown(value), f"the same parameter as {spelling[canonical]}; give one of them")
            )
        else:
            spelling[canonical] = name
            if value is not None:
                values[canonical] = value
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    return values, spelling


def _whole(values: dict[str, Any], spelling: Mapping[str, str], name: str, *, low: int) -> int | None:
    value = values.pop(name, None)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
        raise _wrong(spelling[name], value, f"must be a whole number of at least {low}")
    return value


def _choice(
    values: dict[str, Any], name: str, choices: Mapping[str, str], task: str, default: str | None = None
) -> str:
    value = values.pop(name, None)
    if value is None:
        return default or next(iter(choices))
    if not isinstance(value, str) or value not in choices:
        raise _wrong(name, value, f"does not suit a {task} task; possible: {', '.join(choices)}")
    return value


def _check_constraints(constraints: Mapping[str, Any]) -> None:
    monotone = constraints.get("monotone_constraints", {})
    if not isinstance(monotone, dict) or not all(_is_sign(sign) for sign in monotone.values()):
        raise _wrong("monotone_constraints", monotone, 'must name columns: {"age": 1, "debt": -1}')
    groups = constraints.get("interaction_constraints", [])
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and all(isinstance(name, str) for name in group) for group in groups
    ):
        raise _wrong("interaction_constraints", groups, 'must be lists of columns: [["age", "income"], ["debt"]]')


def _is_sign(value: Any) -> bool:
    return not isinstance(value, bool) and value in (-1, 0, 1)


def _ask_xgboost(params: Mapping[str, Any], spelling: Mapping[str, str], task: str) -> None:
    """Boosts four rows once: XGBoost checks names, types and ranges of its parameters when it first uses them."""
    features, target = np.zeros((4, 1), dtype=np.float32), np.array([1, 1, 0, 0] if task == "binary" else [1, 1, 2, 2])
    classes = {"num_class": 3} if task == "multiclass" else {}
    try:
        matrix = xgb.DMatrix(features, target, nthread=1)
        booster = xgb.Booster(
            {"nthread": 1, "verbosity": 0, "validate_parameters": True, **params, **classes}, [matrix]
        )
        booster.update(matrix, 0)
    except (xgb.core.XGBoostError, TypeError, ValueError) as error:
        message = plain_message(error)
        name = _named_in(message, params)
        raise _wrong(spelling.get(name, name), params.get(name), message) from None


def _named_in(message: str, params: Mapping[str, Any]) -> str:
    """The parameter that a message of XGBoost is about; "" if it cannot be told."""
    named = re.search(r"format for (\w+)|for Parameter (\w+)", message)
    if named:
        return ALIASES.get(named[1] or named[2], named[1] or named[2])
    return next((name for name, value in params.items() if f"'{value}'" in message or name in message), "")


def _wrong(name: str, value: Any, message: str) -> SpecError:
    return SpecError.at(f"model.params.{name}".rstrip("."), shown(value), message)
