"""Folds of rows for whatever looks at rows more than once: search, stacking, calibration. Test rows are never among
them, and no rule of the split is broken: groups stay whole, and a model is never judged on rows older than its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.fold_strategies import Pair, group_folds, random_folds, stratified_folds, time_folds
from training.data.splitting import gap_of, group_codes, split_rows, time_values
from training.data.table import Split, TableSchema
from training.data.target import encode_target
from training.errors import DataError
from training.spec import DataSpec, SplitSpec

Positions = npt.NDArray[np.int64]
Window = Literal["expanding", "rolling"]


@dataclass(frozen=True)
class Fold:
    """Row numbers (int64, ascending), disjoint: what is fitted, and what judges it."""

    train: Positions
    validation: Positions


@dataclass(frozen=True)
class FoldPlan:
    """How many folds, how often anew by chance, and for folds over time whether old rows leave at the other end."""

    folds: int = 5
    repeats: int = 1
    window: Window = "expanding"


def make_folds(
    frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec, *, split: Split, plan: FoldPlan
) -> tuple[Fold, ...]:
    """Folds of the train and validation rows of a split, by the strategy of that split.

    - random, stratified, group: each row judges once in each repeat; `repeats` draws anew.
    - time: each fold is judged on rows later than those that it is fitted on, with the gap of the split between the
      two. `expanding` keeps all earlier rows, `rolling` as many moments as the first fold has. Repeats would be equal,
      so there is one.
    - predefined: as the rows would be split without the column (by group, by class, by chance).

    Raises:
        DataError: fewer rows, groups or moments than folds.
    """
    rows = np.sort(np.concatenate([split.train, split.validation]))
    if len(rows) < 2 * plan.folds:
        raise DataError.at("split", plan.folds, f"{len(rows)} rows do not fill {plan.folds} folds", hint="Add rows.")
    groups = None if data.group_column is None else group_codes(frame[data.group_column].iloc[rows])
    if split.strategy == "time" and data.time_column is not None:
        values = frame[data.time_column].iloc[rows]
        gap, rolling = gap_of(spec, values), plan.window == "rolling"
        pairs = time_folds(time_values(values), groups, plan.folds, gap, rolling=rolling)
    else:
        codes = None
        if schema.classes and split.strategy != "random":
            found = encode_target(frame[schema.target].iloc[rows], schema.task, schema.classes)
            codes = found.astype(np.int64)
        pairs = _by_chance(groups, codes, len(rows), spec.seed, plan)
    return tuple(Fold(rows[np.sort(train)], rows[np.sort(validation)]) for train, validation in pairs)


def nested_splits(
    frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec, plan: FoldPlan
) -> tuple[Split, ...]:
    """Splits whose test rows are the folds of all rows: nested cross-validation.

    Each has train and validation rows of its own; `make_folds` of one of them are the inner folds.

    Raises:
        DataError: as `make_folds`.
    """
    outer = split_rows(frame, schema, data, spec)
    every = replace(
        outer, train=np.sort(np.concatenate([outer.train, outer.validation, outer.test])),
        validation=np.zeros(0, np.int64), test=np.zeros(0, np.int64),
    )  # fmt: skip
    found = []
    for number, fold in enumerate(make_folds(frame, schema, data, spec, split=every, plan=plan), start=1):
        inner_plan = FoldPlan(max(2, round(1 / spec.validation_size)), 1, plan.window)
        rest = replace(every, train=fold.train)
        inner = make_folds(frame, schema, data, spec, split=rest, plan=inner_plan)[-1]
        reason = f"fold {number}: {outer.reason}"
        found.append(Split(outer.strategy, reason, inner.train, inner.validation, fold.validation))
    return tuple(found)


def _by_chance(
    groups: Positions | None, codes: Positions | None, rows: int, seed: int, plan: FoldPlan
) -> Iterator[Pair]:  # fmt: skip
    for repeat in range(plan.repeats):
        generator = np.random.default_rng([seed, repeat])
        if groups is not None:
            yield from group_folds(groups, codes, plan.folds, generator)
        elif codes is not None:
            yield from stratified_folds(codes, plan.folds, generator)
        else:
            yield from random_folds(rows, plan.folds, generator)
