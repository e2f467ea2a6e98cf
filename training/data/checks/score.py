"""How well one column alone tells another, honestly: what is learnt on one half is measured on the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
MAX_BINS = 64
_MAX_CLASSES = 10


def binned(values: Numbers, *, categories: bool) -> npt.NDArray[np.int64]:
    """[n] bins from 0; missing values have a bin of their own. Numbers fall into quantiles, categories stay apart."""
    missing = np.isnan(values)
    if missing.all():
        return np.zeros(len(values), np.int64)
    if categories:
        bins = np.where(missing, -1, values).astype(np.int64)
    else:
        known = values[~missing]
        distinct = np.unique(known)
        edges = (
            distinct if len(distinct) <= MAX_BINS else np.unique(np.quantile(known, np.linspace(0, 1, MAX_BINS + 1)))
        )
        bins = np.where(missing, -1, np.searchsorted(edges, np.where(missing, 0, values), side="right"))
    from_zero: npt.NDArray[np.int64] = bins - bins.min()
    return from_zero


def score(bins: npt.NDArray[np.int64], target: Numbers, classes: int) -> float:
    """The area under the ROC curve (mean of one-against-rest for several classes), or R² where `classes` is 0.

    The mean of the target in each bin is learnt on every second row and applied to the others, and the other way
    round, so that a column of many rare categories does not look better than it is.
    """
    if classes == 0:
        return _r2(target, cross_fitted(bins, target))
    if classes == 2:
        return area(target == 1, cross_fitted(bins, target))
    codes = np.argsort(-np.bincount(target.astype(np.int64), minlength=classes))[:_MAX_CLASSES]
    areas, weights = [], []
    for code in codes:
        truth = (target == code).astype(np.float64)
        if 0 < truth.sum() < len(truth):
            areas.append(area(truth == 1, cross_fitted(bins, truth)))
            weights.append(truth.sum())
    return float(np.average(areas, weights=weights)) if areas else 0.5


def cross_fitted(bins: npt.NDArray[np.int64], target: Numbers) -> Numbers:
    """[n] for each row the mean of its bin among the rows of the other half; the mean of all where there is none."""
    half = np.arange(len(bins)) % 2
    found = np.empty(len(bins))
    size = int(bins.max()) + 1
    for side in (0, 1):
        learn = half != side
        overall = target[learn].mean() if learn.any() else 0.0
        sums = np.bincount(bins[learn], target[learn], minlength=size)
        counts = np.bincount(bins[learn], minlength=size)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
        found[~learn] = means[bins[~learn]]
    return found


def area(truth: npt.NDArray[np.bool_], scores: Numbers) -> float:
    """Area under the ROC curve by ranks, ties counting half; 0.5 where one class is absent."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if positive == 0 or negative == 0:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _r2(target: Numbers, found: Numbers) -> float:
    spread = ((target - target.mean()) ** 2).sum()
    return float(1 - ((target - found) ** 2).sum() / spread) if spread > 0 else 0.0
