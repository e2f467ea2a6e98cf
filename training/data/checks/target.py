"""What is odd about the values that are to be predicted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.data.checks.context import CheckContext
from training.data.target import encode_target
from training.result import Finding

FEW_SHARE = 0.02
"""Rows that are looked at: the farthest from the median."""
DECISIVE_SHARE = 0.9
"""Of the squared deviations; those of a normal target hold an eighth, and of a lognormal one half."""


def target_outliers(context: CheckContext) -> Iterator[Finding]:
    """A few values of a regression's target that decide its squared error, whatever the model says of all others."""
    schema = context.schema
    if schema.task != "regression":
        return
    target = encode_target(context.frame[schema.target].iloc[context.split.train], schema.task, ())
    median = float(np.median(target))
    deviations = np.abs(target - median)
    largest = float(deviations.max())
    if not 0 < largest < np.inf:
        return
    few = max(1, int(FEW_SHARE * len(target)))
    squared = np.square(deviations / largest)
    share = float(np.partition(squared, -few)[-few:].sum() / squared.sum())
    if len(target) > 1 and share >= DECISIVE_SHARE:
        farthest = float(target[np.argmax(deviations)])
        yield Finding(
            check="target_outliers",
            severity="warning",
            columns=[schema.target],
            evidence=f"{few:,} of {len(target):,} train rows hold {share:.1%} of the squared deviations of "
            f"{schema.target} from its median, {median:g}; the farthest is {farthest:g}",
            remedy="Correct these values if they are wrong. Else predict the logarithm, or use a loss that they do not "
            "decide (xgboost with objective reg:absoluteerror), and judge by mae: for all other rows the model may be "
            "of no use.",
            figures={"share": share, "rows": float(few)},
        )
