"""The user's own rules about columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from training.data.checks.context import CheckContext
from training.data.labels import class_label
from training.errors import nearest
from training.result import Finding
from training.spec.validation import ColumnRule


def user_schema(context: CheckContext) -> Iterator[Finding]:
    """One finding for each rule that a column breaks, with the first row that breaks it."""
    for name, rule in context.validation.columns.items():
        if name not in context.frame.columns:
            if rule.required:
                close = nearest(name, context.frame.columns)
                yield _finding(name, f"there is no column {name}{close}", "Add the column, or set required: false.")
            continue
        values = context.frame[name]
        if rule.type is not None and not _TYPES[rule.type](values):
            yield _finding(name, f"{name} holds {values.dtype}, not {rule.type}", "Correct the source or the rule.")
            continue
        for broken, what in _broken(values, rule):
            if broken.any():
                row = int(np.argmax(broken))
                first = f"the first in row {row + 1}{_shown(values.iloc[row])}"
                evidence = f"{int(broken.sum()):,} values of {name} {what}, {first}"
                yield _finding(name, evidence, "Correct the source or the rule.", broken=float(broken.sum()))


def _broken(values: Any, rule: ColumnRule) -> Iterator[tuple[Any, str]]:
    missing = values.isna().to_numpy()
    if not rule.nullable:
        yield missing, "are missing"
    if rule.unique:
        yield values.duplicated(keep="first").to_numpy() & ~missing, "occur more than once"
    if rule.allowed is not None:
        labels = {class_label(value) for value in rule.allowed}
        known = [value for value in values.dropna().unique() if class_label(value) in labels]
        yield ~values.isin(known).to_numpy() & ~missing, "are not allowed"
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        if rule.min is not None:
            yield numbers < rule.min, f"are below {rule.min:g}"
        if rule.max is not None:
            yield numbers > rule.max, f"are above {rule.max:g}"
    elif rule.min is not None or rule.max is not None:
        yield np.ones(len(values), bool), "are no numbers, so they have no range"


def _shown(value: Any) -> str:
    """As people write it; nothing for a missing one."""
    if pd.isna(value):
        return ""
    return f": {value!r}" if isinstance(value, str) else f": {class_label(value)}"


def _is_whole(values: Any) -> bool:
    if not _is_number(values):
        return False
    known = values.dropna()
    return bool((known == known.round()).all())


def _is_number(values: Any) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _is_boolean(values: Any) -> bool:
    return pd.api.types.is_bool_dtype(values.dtype) or set(values.dropna().unique()) <= {True, False}


def _is_text(values: Any) -> bool:
    return not _is_number(values) and not pd.api.types.is_datetime64_any_dtype(values.dtype)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "number": _is_number,
    "whole": _is_whole,
    "text": _is_text,
    "boolean": _is_boolean,
    "time": lambda values: bool(pd.api.types.is_datetime64_any_dtype(values.dtype)),
}


def _finding(name: str, evidence: str, remedy: str, **figures: float) -> Finding:
    return Finding(check="schema", severity="error", columns=[name], evidence=evidence, remedy=remedy, figures=figures)
