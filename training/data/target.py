"""What is predicted: the task, the classes and their order, and the target as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.labels import class_label
from training.data.mixed import check_not_mixed
from training.data.roles import TARGET_FIELD
from training.errors import DataError, SpecError, nearest
from training.spec import DataSpec, Task

MAX_CLASSES = 1000
_FEW_INTEGERS = 20
"""Up to this many distinct whole numbers are classes under task `auto`, if each occurs ten times on average."""
_ROWS_PER_INTEGER = 10


@dataclass(frozen=True)
class TargetFacts:
    """The task, the labels in order (classes[1] is the positive one of two), and how that came about, for people."""

    task: Task
    classes: tuple[str, ...]
    reason: str


def target_facts(values: pd.Series[Any], spec: DataSpec) -> TargetFacts:
    """Decides the task and the classes from the target without missing values.

    Raises:
        DataError: one class only, too many classes, or values that no task can predict.
        SpecError: the declared task or positive class does not fit.
    """
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        raise DataError.at(
            TARGET_FIELD, spec.target, "a time cannot be predicted", hint="Write it as a number of days."
        )
    numbers = _is_number(values)
    if numbers:
        _as_numbers(values, TARGET_FIELD)
    counts = values.value_counts()
    if not numbers:
        check_not_mixed(values, spec.target, TARGET_FIELD, counts)
    if len(counts) == 1:
        only = class_label(counts.index[0])
        hint = "Add rows with another value, or name another target."
        raise DataError.at(TARGET_FIELD, only, f"column {spec.target!r} has one value only: {only}", hint=hint)
    task, why = _task(counts, spec, numbers=numbers, rows=len(values))
    if task == "regression":
        return _regression(values, spec, why, numbers=numbers)
    return _classes(counts, spec, task, why, numbers=numbers)


def encode_target(
    values: pd.Series[Any], task: str, classes: tuple[str, ...], *, field: str = TARGET_FIELD
) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    """The target as numbers.

    Args:
        values: [n] raw values.
        task: binary, multiclass or regression.
        classes: labels in order; not used for regression.
        field: what messages name.

    Returns:
        Classification: [n] int64 positions in `classes`. Regression: [n] float64.

    Raises:
        DataError: a missing value, a label that is not in `classes` (all of them are named), or no finite number.
    """
    missing = int(values.isna().sum())
    if missing:
        raise DataError.at(
            field, None, f"{missing:,} rows without a value in {values.name!r}", hint="Leave these rows out."
        )
    if task == "regression":
        return _as_numbers(values, field)
    codes, uniques = pd.factorize(values)
    labels = [class_label(value) for value in uniques]
    known = {label: position for position, label in enumerate(classes)}
    unknown = sorted(set(labels) - set(known))
    if unknown:
        shown = ", ".join(unknown[:10])
        reason = f"labels that the model does not know: {shown}{nearest(unknown[0], classes)}"
        raise DataError.at(field, unknown[0], reason, hint="Correct the labels, or leave these rows out.")
    positions = np.array([known[label] for label in labels], dtype=np.int64)
    encoded: npt.NDArray[np.int64] = positions[codes] if len(positions) else np.zeros(0, np.int64)
    return encoded


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _task(counts: pd.Series[int], spec: DataSpec, *, numbers: bool, rows: int) -> tuple[Task, str]:
    distinct = len(counts)
    if spec.task == "regression":
        return "regression", "declared"
    if spec.task == "binary" and distinct != 2:
        shown = ", ".join(class_label(value) for value in counts.index[:5])
        reason = f"column {spec.target!r} has {distinct:,} values ({shown}{', …' if distinct > 5 else ''})"
        raise SpecError.at(
            "data.task", "binary", reason, hint="Use task multiclass or regression, or leave it to auto."
        )
    if spec.task == "multiclass" and distinct == 2:
        raise SpecError.at("data.task", "multiclass", f"column {spec.target!r} has two values", hint="Use task binary.")
    if spec.task != "auto":
        return spec.task, "declared"
    if distinct == 2:
        return "binary", "two values"
    if not numbers:
        return "multiclass", f"{distinct:,} values that are no numbers"
    whole = bool(np.all(np.mod(counts.index.to_numpy(dtype=np.float64), 1) == 0))
    if whole and distinct <= _FEW_INTEGERS and distinct * _ROWS_PER_INTEGER <= rows:
        return "multiclass", f"{distinct} distinct whole numbers"
    return "regression", f"{distinct:,} distinct numbers"


def _regression(values: pd.Series[Any], spec: DataSpec, why: str, *, numbers: bool) -> TargetFacts:
    if spec.positive_class is not None:
        raise _no_positive(spec, "regression")
    if not numbers:
        example = class_label(values.iloc[0])
        reason = f"column {spec.target!r} holds values that are no numbers, such as {example!r}"
        raise SpecError.at("data.task", "regression", reason, hint="Use task multiclass or binary, or another target.")
    return TargetFacts("regression", (), f"regression: {why}")


def _as_numbers(values: pd.Series[Any], field: str) -> npt.NDArray[np.float64]:
    if not _is_number(values):
        example = values.iloc[0] if len(values) else None
        reason = f"column {values.name!r} holds values that are no numbers, such as {example!r}"
        raise DataError.at(field, example, reason, hint="Write numbers.")
    numbers = values.to_numpy(dtype=np.float64)
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise DataError.at(
            field, "infinity", f"{infinite:,} infinite values in {values.name!r}", hint="Leave these rows out."
        )
    return numbers


def _classes(counts: pd.Series[int], spec: DataSpec, task: Task, why: str, *, numbers: bool) -> TargetFacts:
    if len(counts) > MAX_CLASSES:
        reason = f"column {spec.target!r} has {len(counts):,} values; classes are at most {MAX_CLASSES:,}"
        hint = "Use task regression if it is a quantity, or group the classes."
        raise DataError.at(TARGET_FIELD, spec.target, reason, hint=hint)
    if numbers:
        counts = counts.sort_index()
    by_label: dict[str, int] = {}
    for value, count in counts.items():
        label = class_label(value)
        by_label[label] = by_label.get(label, 0) + int(count)
    labels = list(by_label) if numbers else sorted(by_label)
    if task != "binary":
        if spec.positive_class is not None:
            raise _no_positive(spec, task)
        return TargetFacts(task, tuple(labels), f"{task}: {why}")
    positive = _positive(spec, by_label, labels)
    negative = next(label for label in labels if label != positive)
    chosen = "as declared" if spec.positive_class is not None else "the rarer one"
    return TargetFacts(task, (negative, positive), f"{task}: {why}; the positive class is {positive}, {chosen}")


def _positive(spec: DataSpec, by_label: dict[str, int], labels: list[str]) -> str:
    if spec.positive_class is None:
        return min(reversed(labels), key=lambda label: by_label[label])
    wanted = class_label(spec.positive_class)
    if wanted not in by_label:
        message = f"no such class in column {spec.target!r}{nearest(wanted, labels)}"
        raise SpecError.at("data.positive_class", spec.positive_class, message)
    return wanted


def _no_positive(spec: DataSpec, task: str) -> SpecError:
    hint = "Leave data.positive_class out."
    return SpecError.at("data.positive_class", spec.positive_class, f"a {task} task has no positive class", hint=hint)
