"""Folds of rows for whatever looks at rows more than once: search, stacking, calibration. Test rows are never among
them, and no rule of the split is broken: groups stay whole, and a model is never judged on rows older than its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.fold_strategies import Pair, group_folds, random_folds, stratified_folds, time_folds
from training.data.splitting import gap_of, group_codes, time_values
from training.data.table import Split, TableSchema
from training.data.target import encode_target
from training.errors import DataError, SpecError
from training.spec import DataSpec, SplitSpec

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Row numbers (int64, ascending), disjoint: what is fitted, and what judges it."""

    train: Positions
    validation: Positions


@dataclass(frozen=True)
class FoldPlan:
    """How many folds, and how often anew by chance."""

    folds: int = 5
    repeats: int = 1


def make_folds(
    frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec, *, split: Split, plan: FoldPlan
) -> tuple[Fold, ...]:
    """Folds of the train and validation rows of a split, by the strategy of that split.

    - random, stratified, group: each row judges once in each repeat; `repeats` draws anew.
    - time: each fold is judged on rows later than those that it is fitted on, with the gap of the split between the
      two. With the window `expanding` all earlier rows, with `rolling` as many moments as the first fold has. Repeats
      would be equal, so there is one.
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
        gap, rolling = gap_of(spec, values), spec.window == "rolling"
        pairs = time_folds(time_values(values), groups, plan.folds, gap, rolling=rolling)
    else:
        codes = None
        if schema.classes and split.strategy != "random":
            found = encode_target(frame[schema.target].iloc[rows], schema.task, schema.classes)
            codes = found.astype(np.int64)
        pairs = _by_chance(groups, codes, len(rows), spec.seed, plan)
    return tuple(Fold(rows[np.sort(train)], rows[np.sort(validation)]) for train, validation in pairs)


def nested_splits(
    frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec, *, split: Split
) -> tuple[Split, ...]:
    """Splits whose test rows are the folds of `split.folds`, drawn `split.repeats` times: nested cross-validation.

    Each has train and validation rows of its own, divided by the rules of `split`, of which no test row is in any.

    Raises:
        SpecError: the strategy has no folds, or no other draws of them.
        DataError: as `make_folds`.
    """
    if spec.folds is None:
        return ()
    if split.strategy == "predefined":
        message = "split.column says which rows judge a model, and folds would take others; leave folds out"
        raise SpecError.at("split.folds", spec.folds, message)
    if split.strategy == "time" and spec.repeats > 1:
        message = "folds over time are always the same, so there is nothing to repeat; leave repeats out"
        raise SpecError.at("split.repeats", spec.repeats, message)
    found = []
    plan = FoldPlan(spec.folds, spec.repeats)
    for number, fold in enumerate(make_folds(frame, schema, data, spec, split=split, plan=plan)):
        own = replace(split, train=fold.train, validation=fold.train[:0], test=fold.validation)
        parts = _inner(frame, schema, data, spec, split=own, number=number)
        reason = f"fold {number % spec.folds + 1} of {spec.folds}: {split.reason}"
        found.append(Split(split.strategy, reason, parts.train, parts.validation, fold.validation))
    return tuple(found)


def _inner(
    frame: pd.DataFrame, schema: TableSchema, data: DataSpec, spec: SplitSpec, *, split: Split, number: int
) -> Fold:  # fmt: skip
    """The train rows of a split divided for early stopping and calibration, at about `validation_size`; where there are
    too few groups or moments for that, more of the rows are for validation."""
    wanted = max(2, round(1 / spec.validation_size))
    reason = ""
    # of a rolling window the train rows are one already
    spec = spec.model_copy(update={"window": "expanding"})
    for count in range(wanted, 1, -1):
        try:
            return make_folds(frame, schema, data, spec, split=split, plan=FoldPlan(count))[-1]
        except DataError as error:
            reason = f"fold {number + 1} leaves too little to take validation rows from: {error.message}"
    raise DataError.at("split.folds", spec.folds, reason, hint="Ask for fewer folds.")


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
