"""Linear models, forests and histogram boosting with scikit-learn."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from training.data.table import Rows
from training.errors import FitError
from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.fitting import FitReporter, features_of, fit_errors, prepared
from training.models.sklearn_params import Plan, plan_estimator
from training.mts_scoring.encoder import TREE_CATEGORIES, TableEncoder
from training.mts_scoring.sklearn_predictor import SklearnPredictor, estimator_input
from training.spec import ModelSpec, SklearnSpec

logger = logging.getLogger("training")

TREES_PER_STEP = 10
ROUNDS_WITH_VALIDATION = 1000
"""Most rounds of histogram boosting; early stopping ends it long before."""
ROUNDS_WITHOUT_VALIDATION = 300
ITERATIONS_PER_STEP = 50
"""Of lbfgs, after which the deadline is looked at. Each step begins without what the last one knew of the curvature."""


class SklearnFamily(ModelFamily):
    """Estimators of scikit-learn.

    Linear models get standardised numbers and one-hot categories; trees get category codes and missing values as they
    are, histogram boosting splits natively on categories. Only histogram boosting uses the validation rows: it stops
    early on them.

    Deadline and cancellation are seen between batches of trees in a forest and, if there is a deadline, between steps
    of a logistic regression; and only before and after the fit of the other estimators, which cannot be interrupted.
    """

    name: ClassVar[str] = "sklearn"

    def check(self, spec: ModelSpec, task: str) -> None:
        """Checks estimator and parameters, see ModelFamily."""
        _plan(spec, task, ())

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits, see ModelFamily."""
        plan = _plan(spec, data.schema.task, data.schema.classes)
        with fit_errors(plan.name, ValueError, ArithmeticError, np.linalg.LinAlgError), _warnings_logged(plan.name):
            limit = _max_categories(plan)
            encoder = prepared(
                context,
                ("encoder", plan.style, limit),
                lambda: TableEncoder.fit(
                    data.train.frame, features_of(data.schema), style=plan.style, max_categories=limit
                ),
            )
            with threadpool_limits(context.cpus):
                estimator = _fit(plan, encoder, data, context)
        if plan.is_forest:
            # threads add up the trees in the order in which they finish, so that the last digit would vary
            estimator.set_params(n_jobs=None, warm_start=False)
        predictor = SklearnPredictor(encoder, estimator, num_classes=len(data.schema.classes))
        iterations = np.max(getattr(estimator, "n_iter_", 0) or 0)
        facts = {"iterations": float(iterations)} if iterations else {}
        return FittedModel(predictor, {"estimator": plan.name, **estimator.get_params(deep=False)}, facts)

    def stops_early(self, spec: ModelSpec) -> bool:
        """Histogram boosting unless told not to, see ModelFamily."""
        return (
            isinstance(spec, SklearnSpec)
            and spec.estimator == "hist_gradient_boosting"
            and spec.params.get("early_stopping") is not False
        )

    def without_early_stopping(self, spec: ModelSpec, facts: Mapping[str, float]) -> ModelSpec:
        """As many rounds of histogram boosting as were best, see ModelFamily."""
        if not isinstance(spec, SklearnSpec) or spec.estimator != "hist_gradient_boosting":
            return spec
        fixed = {"max_iter": int(facts["iterations"]), "early_stopping": False}
        return spec.model_copy(update={"params": {**spec.params, **fixed}})


def _plan(spec: ModelSpec, task: str, classes: tuple[str, ...]) -> Plan:
    if not isinstance(spec, SklearnSpec):
        raise TypeError(f"the sklearn family takes an SklearnSpec, not {type(spec).__name__}")
    return plan_estimator(spec.estimator, spec.params, task, classes)


def _max_categories(plan: Plan) -> int | None:
    """Histogram boosting wants all codes of a category column, with the shared one, within its bins."""
    if plan.name != "hist_gradient_boosting":
        return None
    return min(TREE_CATEGORIES, int(plan.params.get("max_bins", 255)) - 1)


def _fit(plan: Plan, encoder: TableEncoder, data: FitData, context: FitContext) -> Any:
    estimator = plan.build(context)
    matrix = prepared(
        context, ("matrix", plan.style, _max_categories(plan)), lambda: estimator_input(encoder, data.train.frame)
    )
    if plan.is_forest:
        _grow(estimator, matrix, data.train, context)
        return estimator
    context.observer.progress(0.0)
    if plan.name == "logistic_regression" and context.deadline is not None and estimator.solver == "lbfgs":
        _iterate(estimator, matrix, data.train, context)
        return estimator
    if context.deadline is not None and time.monotonic() >= context.deadline:
        raise FitError(f"{plan.name}: the time budget was over before the fit began", hint="raise time_budget_s")
    extra: dict[str, Any] = {}
    if plan.name == "hist_gradient_boosting":
        estimator.set_params(
            categorical_features=np.array(encoder.is_categorical) if any(encoder.is_categorical) else None
        )
        extra = _early_stopping(plan, estimator, encoder, data.validation)
        matrix = _without_holes(matrix)
    estimator.fit(matrix, data.train.target, sample_weight=data.train.weight, **extra)
    context.observer.progress(1.0, 0.0)
    return estimator


def _without_holes(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The matrix with 0 in columns that hold nothing: scikit-learn 1.9 fails to bin them, and splits on no constant."""
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, matrix.dtype.type(0), matrix) if empty.any() else matrix


def _early_stopping(plan: Plan, estimator: Any, encoder: TableEncoder, validation: Rows | None) -> dict[str, Any]:
    """The validation rows as arguments of `fit`; without them the estimator must not hold out training rows."""
    if plan.params.get("early_stopping") is False or validation is None or not len(validation):
        estimator.set_params(early_stopping=False, max_iter=plan.params.get("max_iter", ROUNDS_WITHOUT_VALIDATION))
        return {}
    estimator.set_params(early_stopping=True, max_iter=plan.params.get("max_iter", ROUNDS_WITH_VALIDATION))
    return {
        "X_val": encoder.transform(validation.frame),
        "y_val": validation.target,
        "sample_weight_val": validation.weight,
    }


def _grow(forest: Any, matrix: npt.NDArray[Any], train: Rows, context: FitContext) -> None:
    """Grows a forest in batches of trees: the same trees as in one go, but it can report and stop in between."""
    wanted = int(forest.n_estimators)
    step = max(TREES_PER_STEP, context.cpus)
    reporter = FitReporter(context, wanted)
    forest.set_params(warm_start=True)
    for grown in (*range(step, wanted, step), wanted):
        forest.set_params(n_estimators=grown)
        forest.fit(matrix, train.target, sample_weight=train.weight)
        if reporter.step(grown, {}) and grown < wanted:
            logger.warning("the time budget ended the forest after %d of %d trees", grown, wanted)
            break
    reporter.finish()


def _iterate(estimator: Any, matrix: npt.NDArray[Any], train: Rows, context: FitContext) -> None:
    """Fits by lbfgs some iterations at a time, each time from where the last one ended, and may stop in between."""
    wanted, done = int(estimator.max_iter), 0
    reporter = FitReporter(context, wanted)
    estimator.set_params(warm_start=True)
    while done < wanted:
        step = min(ITERATIONS_PER_STEP, wanted - done)
        estimator.set_params(max_iter=step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of each step
            estimator.fit(matrix, train.target, sample_weight=train.weight)
        done += step
        if int(np.max(estimator.n_iter_)) < step:
            break
        if reporter.step(done, {}) and done < wanted:
            logger.warning("the time budget ended the logistic regression after %d of %d iterations", done, wanted)
            break
    else:
        logger.warning("logistic_regression: lbfgs has not converged after %d iterations", wanted)
    estimator.set_params(warm_start=False, max_iter=wanted)
    reporter.finish()


@contextmanager
def _warnings_logged(estimator: str) -> Iterator[None]:
    """Logs what the library warns of, such as a solver that did not converge, once per message."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        logger.warning("%s: %s", estimator, " ".join(message.split()))
