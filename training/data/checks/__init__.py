"""What is looked at before money is spent: one function per check, by the name that a spec gives it."""

from collections.abc import Callable, Iterator

from training.data.checks.columns import constants, duplicate_columns, identifiers
from training.data.checks.context import CheckContext
from training.data.checks.drift import drift
from training.data.checks.leakage import after_event, missingness, single_feature
from training.data.checks.splits import class_counts, duplicate_rows, time_overlap, unseen_categories
from training.data.checks.target import target_outliers
from training.data.checks.user_schema import user_schema
from training.result import Finding
from training.spec.validation import CheckName

CHECKS: dict[CheckName, Callable[[CheckContext], Iterator[Finding]]] = {
    "schema": user_schema,
    "single_feature": single_feature,
    "after_event": after_event,
    "missingness": missingness,
    "time_overlap": time_overlap,
    "duplicate_rows": duplicate_rows,
    "unseen_category": unseen_categories,
    "drift": drift,
    "class_counts": class_counts,
    "target_outliers": target_outliers,
    "duplicate_columns": duplicate_columns,
    "identifier": identifiers,
    "constant": constants,
}


def run_checks(context: CheckContext) -> tuple[Finding, ...]:
    """Every finding of every check, the gravest first."""
    found = [finding for check in CHECKS.values() for finding in check(context)]
    order = ("error", "warning", "info")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


__all__ = ["CHECKS", "CheckContext", "run_checks"]
