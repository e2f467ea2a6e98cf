"""The interval of the difference of two areas under the ROC curve on the same rows, without resampling."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from training.evaluation.statistic import FloatArray, IntArray
from training.result import Interval


def delong_difference(target: IntArray, new: FloatArray, old: FloatArray, confidence: float = 0.95) -> Interval:
    """AUC of `new` less AUC of `old` (DeLong, DeLong and Clarke-Pearson 1988), by ranks (Sun and Xu 2014).

    Args:
        target: [n] 0 or 1.
        new, old: [n] scores of class 1.
        confidence: of the interval.

    Returns:
        Value and bounds; all None where a class does not occur, and no bounds where one occurs once.
    """
    positive = target == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return Interval(value=None)
    areas, of_positives, of_negatives = zip(
        *(_components(scores[positive], scores[~positive]) for scores in (new, old)), strict=True
    )
    gain = float(areas[0] - areas[1])
    if positives < 2 or negatives < 2:
        return Interval(value=gain)
    variance = (
        np.var(of_positives[0] - of_positives[1], ddof=1) / positives
        + np.var(of_negatives[0] - of_negatives[1], ddof=1) / negatives
    )
    spread = float(ndtri(0.5 + confidence / 2)) * math.sqrt(variance)
    return Interval(value=gain, low=gain - spread, high=gain + spread)


def _components(positive: FloatArray, negative: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """The area, and each row's own share in it: of a positive, how many negatives are below; of a negative, above."""
    rows, others = len(positive), len(negative)
    together = rankdata(np.concatenate([positive, negative]))
    of_positive = (together[:rows] - rankdata(positive)) / others
    of_negative = 1.0 - (together[rows:] - rankdata(negative)) / rows
    return float(of_positive.mean()), of_positive, of_negative
