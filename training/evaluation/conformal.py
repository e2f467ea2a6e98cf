"""Prediction intervals for a regression that hold without assumptions about the model."""

from __future__ import annotations

import numpy as np

from training.evaluation.statistic import FloatArray


def conformal_margin(
    target: FloatArray, scores: FloatArray, weight: FloatArray | None, coverage: float
) -> float | None:
    """Half the width of an interval around a prediction that holds the true value with a probability of at least
    `coverage`, for rows that are exchangeable with these.

    The ceil((n + 1) coverage)-th smallest absolute error (split conformal prediction, Lei et al. 2018,
    arXiv:1604.04173, section 2.2). With weights, the quantile of the weighted errors to which a row of mean weight with
    an infinite error is added (Tibshirani et al. 2019, arXiv:1904.06019, section 2).

    Args:
        target: [n] true values.
        scores: [n] predictions by models that did not learn from these rows.
        weight: [n] or None.
        coverage: in (0, 1).

    Returns:
        None where the rows are too few for such a coverage.
    """
    weights = np.ones(len(target)) if weight is None else weight
    errors = np.abs(target - scores)
    order = np.argsort(errors, kind="stable")
    total = weights.sum() + weights.mean()
    reached = np.cumsum(weights[order]) >= coverage * total * (1.0 - 1e-12)
    return float(errors[order][np.argmax(reached)]) if reached.any() else None
