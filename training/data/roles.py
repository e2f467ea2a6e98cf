"""What the spec wants each column to be."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from training.data.table import ColumnRole
from training.errors import Problem, SpecError, nearest
from training.spec import DataSpec, SplitSpec

TARGET_FIELD = "data.target"


def column_roles(frame: pd.DataFrame, spec: DataSpec, split: SplitSpec) -> dict[str, ColumnRole]:
    """The role of every column of the frame, before anything is dropped for what it holds.

    Raises:
        SpecError: a column that is not there, or one that the spec uses for two things; one problem for each.
    """
    singles: list[tuple[str, str | None, ColumnRole]] = [
        (TARGET_FIELD, spec.target, "target"),
        ("data.id_column", spec.id_column, "id"),
        ("data.weight_column", spec.weight_column, "weight"),
        ("data.time_column", spec.time_column, "time"),
        ("data.group_column", spec.group_column, "group"),
        ("split.column", split.column, "split"),
    ]
    named = [(field, name) for field, name, _ in singles if name is not None]
    named += [("data.include", name) for name in spec.include or []] + [("data.exclude", name) for name in spec.exclude]
    _raise_any(unknown_columns(frame, named))

    roles: dict[str, ColumnRole] = {}
    fields: dict[str, str] = {}
    problems = []
    for field, column, role in singles:
        if column is None:
            continue
        if column in roles:
            problems.append(Problem(field, column, f"is already {fields[column]}; a column has one role"))
        else:
            roles[column], fields[column] = role, field
    problems += _conflicts(spec, fields)
    _raise_any(problems)

    excluded = set(spec.exclude)
    included = None if spec.include is None else set(spec.include)
    for column in frame.columns:
        is_out = column in excluded or (included is not None and column not in included)
        roles.setdefault(column, "excluded" if is_out else "feature")
    return roles


def require_columns(frame: pd.DataFrame, names: Iterable[str], field: str) -> None:
    """Checks that the columns a field of the spec names are there.

    Raises:
        SpecError: names the field, each column that is missing, and the nearest that exists.
    """
    _raise_any(unknown_columns(frame, [(field, name) for name in names]))


def unknown_columns(frame: pd.DataFrame, named: Iterable[tuple[str, str]]) -> list[Problem]:
    """One problem for each (field, column) whose column is not there."""
    known = set(frame.columns)
    return [
        Problem(field, name, f"no such column{nearest(name, frame.columns)}")
        for field, name in named
        if name not in known
    ]


def _conflicts(spec: DataSpec, fields: dict[str, str]) -> list[Problem]:
    problems = []
    for name in spec.include or []:
        if name in fields:
            problems.append(Problem("data.include", name, f"is already {fields[name]}; a column has one role"))
        elif name in spec.exclude:
            problems.append(Problem("data.include", name, "is in data.exclude too"))
    if fields.get(spec.target) == TARGET_FIELD and spec.target in spec.exclude:
        problems.append(Problem("data.exclude", spec.target, "is the target"))
    return problems


def _raise_any(problems: list[Problem]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SpecError(f"{problems[0].field}: {problems[0].message}{more}", problems=problems)
