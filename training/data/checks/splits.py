"""What is odd about the parts of a split, beside each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.data.checks.context import CheckContext, as_numbers
from training.data.target import encode_target
from training.result import Finding

FEW_ROWS = 10
"""Train rows of a class below which it can hardly be learnt."""
RARE_SHARE = 0.01
UNSEEN_SHARE = 0.01
"""Share of test rows with an unseen category from which on it is a warning."""
_SHOWN = 5


def duplicate_rows(context: CheckContext) -> Iterator[Finding]:
    """Test rows that the model has seen."""
    split = context.split
    seen = np.isin(context.hashes[split.test], context.hashes[np.concatenate([split.train, split.validation])])
    count, share = int(seen.sum()), float(seen.mean())
    if count:
        yield Finding(
            check="duplicate_rows",
            severity="warning",
            evidence=f"{count:,} of {len(split.test):,} test rows ({share:.1%}) are exact duplicates of other rows",
            remedy="Remove duplicates at the source, or name what they share in data.group_column.",
            figures={"share": share},
        )


def time_overlap(context: CheckContext) -> Iterator[Finding]:
    """Train rows from the time that the model is measured on."""
    split, name = context.split, context.data.time_column
    if name is None or split.strategy == "time":
        return
    times = as_numbers(context.frame[name])
    later = float((times[split.train] >= np.nanmin(times[split.test])).mean())
    if later:
        yield Finding(
            check="time_overlap",
            severity="warning",
            columns=[name],
            evidence=f"{later:.1%} of the train rows are not older than the oldest test row ({split.strategy} split)",
            remedy="Use split.strategy time: a model is used on rows that are newer than those that it was trained on.",
            figures={"share": later},
        )


def unseen_categories(context: CheckContext) -> Iterator[Finding]:
    """Categories that exist in one part only."""
    for column in context.schema.features:
        if column.kind != "categorical":
            continue
        values = context.frame[column.name]
        train, test = values.iloc[context.split.train], values.iloc[context.split.test]
        unseen = test.notna() & ~test.isin(train.unique())
        share = float(unseen.mean())
        if share:
            names = ", ".join(str(value)[:40] for value in test[unseen].unique()[:_SHOWN])
            yield Finding(
                check="unseen_category",
                severity="warning" if share >= UNSEEN_SHARE else "info",
                columns=[column.name],
                evidence=f"{share:.2%} of the test rows have a {column.name} that no train row has, such as {names}",
                remedy="Merge rare categories at the source, or split by group if they name groups.",
                figures={"share": share},
            )


def class_counts(context: CheckContext) -> Iterator[Finding]:
    """Classes of few rows."""
    schema = context.schema
    if not schema.classes:
        return
    target = context.frame[schema.target].iloc[context.split.train]
    codes = encode_target(target, schema.task, schema.classes).astype(np.int64)
    counts = np.bincount(codes, minlength=len(schema.classes))
    for label, count in zip(schema.classes, counts.tolist(), strict=True):
        share = count / len(codes)
        if count < FEW_ROWS or share < RARE_SHARE:
            yield Finding(
                check="class_counts",
                severity="warning" if count < FEW_ROWS else "info",
                columns=[schema.target],
                evidence=f"class {label} has {count:,} of {len(codes):,} train rows ({share:.2%})",
                remedy="Add rows of that class, or merge it with another.",
                figures={"rows": float(count), "share": share},
            )
