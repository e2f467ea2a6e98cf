"""All rows that a fit may learn from, and how they are divided so that each can be scored by a model that did not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.fold_strategies import Pair, group_folds, random_folds, spread_folds, stratified_folds, time_folds
from training.data.table import Rows, TableSchema
from training.errors import DataError
from training.models.base import FitData, Structure

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """The train rows, then the validation rows; `first_validation` is the position of the first of the latter."""

    schema: TableSchema
    rows: Rows
    structure: Structure
    first_validation: int

    @classmethod
    def of(cls, data: FitData) -> Pool:
        """All rows of a fit."""
        if data.validation is None or not len(data.validation):
            return cls(data.schema, data.train, data.structure, len(data.train))
        return cls(data.schema, joined(data.train, data.validation), data.structure, len(data.train))

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Fold:
    """Positions in a pool: rows to learn from, and rows that are held out.

    `serves`: whether the model that is fitted here is part of the final one; over time only the last is, for the others
    know nothing of the latest rows. `steering`: rows that may end a fit early; None where nobody has chosen any yet.
    """

    learnt: Positions
    held: Positions
    serves: bool = True
    steering: Positions | None = None


def joined(first: Rows, second: Rows) -> Rows:
    """The rows of both, in this order."""
    weight = None
    if first.weight is not None and second.weight is not None:
        weight = np.concatenate([first.weight, second.weight])
    columns = {name: _concatenated(first.frame[name], second.frame[name]) for name in first.frame.columns}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(first) + len(second)), copy=False)
    target: npt.NDArray[Any] = np.concatenate([first.target, second.target])
    return Rows(frame, target, weight)


def _concatenated(first: pd.Series[Any], second: pd.Series[Any]) -> Any:
    """A column of all missing values has a dtype of its own in pandas; it must not decide that of the other."""
    if first.dtype == second.dtype:
        return pd.concat([first, second], ignore_index=True).array
    return pd.Series([*first, *second], dtype=object).array


def taken(rows: Rows, positions: Positions) -> Rows:
    """Some of the rows, numbered from 0."""
    frame = rows.frame.take(positions)
    frame.index = pd.RangeIndex(len(positions))
    weight = None if rows.weight is None else rows.weight[positions]
    return Rows(frame, rows.target[positions], weight)


def structure_in(pool: Pool, learnt: Positions, other: Positions) -> Structure:
    """What ties together the rows that a fold learns from, then those that it holds out, or that steer it."""
    return pool.structure.of(np.concatenate([learnt, other]))


def folds_of(pool: Pool, count: int, seed: int) -> list[Fold]:
    """Divides the pool into folds, by the arithmetic of `training.data.fold_strategies`.

    - `fixed`: two, which learn from all train rows; each holds out one half of the validation rows, and the other one
      steers. One, where they cannot be halved.
    - times: the held rows of each fold are later than all that it learns from, by the gap at least; the last one holds
      the validation rows. Rows of a group that is held out are not learnt from.
    - groups: whole groups, so that the folds are alike in size and classes.
    - otherwise: by chance, within each class; a class of fewer rows than folds is learnt from in all of them, and
      where most rows are of such classes there are fewer folds.

    Raises:
        DataError: too few rows or groups for two folds.
    """
    structure, number = pool.structure, len(pool)
    everyone = np.arange(number)
    validation = everyone[pool.first_validation :]
    if structure.fixed and len(validation):
        return _of_named(pool, validation, seed)
    if structure.times is not None:
        return _over_time(pool, structure.times, count)
    pairs = _by_chance(pool, everyone, count, np.random.default_rng(seed))
    found = [Fold(learnt, held) for learnt, held in pairs if len(learnt) and len(held)]
    if len(found) < 2:
        raise DataError(f"{number} rows do not fill two folds", hint="add rows, or use one family without a hybrid")
    return found


def crossed(structure: Structure, rows: int, parts: int, seed: int) -> list[Pair]:
    """Positions to learn from and positions to judge, for whatever is learnt from the scores of held-out rows.

    Each part is judged by what the others teach: by chance, or whole groups; over time by what those before it teach,
    so that the first rows are judged by nothing. Nothing at all where the gap or the moments leave no pair.
    """
    if structure.times is not None:
        moments = len(np.unique(structure.times))
        if moments < 2:
            return []
        try:
            # of a rolling window these rows are the end already
            found = time_folds(structure.times, structure.groups, min(parts, moments - 1), structure.gap, rolling=False)
            return list(found)
        except DataError:
            return []
    generator = np.random.default_rng(seed)
    if structure.groups is not None:
        groups = np.unique(structure.groups, return_inverse=True)[1].astype(np.int64)
        count = min(parts, int(groups.max()) + 1)
        return list(group_folds(groups, None, count, generator)) if count > 1 else []
    return list(random_folds(rows, min(parts, rows), generator)) if rows > 1 else []


def earlier(structure: Structure, held: Positions) -> Positions:
    """Positions of rows that are older than all of the held ones, by the gap at least and in other groups."""
    if structure.times is None:
        raise ValueError("rows without times have no order")
    first = structure.times[held].min()
    found = np.flatnonzero((structure.times < first) & (structure.times <= first - structure.gap))
    if structure.groups is not None:
        found = found[~np.isin(structure.groups[found], structure.groups[held])]
    return found


def divided(pool: Pool, rows: Positions, count: int, generator: np.random.Generator) -> list[Pair]:
    """Some rows of a pool divided as its folds are, over time from older to later ones.

    Raises:
        DataError: too few groups or moments for so many parts, or a gap that leaves nothing.
    """
    structure = pool.structure
    if structure.times is None:
        return list(_by_chance(pool, rows, count, generator))
    groups = None if structure.groups is None else structure.groups[rows]
    # where old rows are forgotten, these are the others already
    pairs = time_folds(structure.times[rows], groups, count, structure.gap, rolling=False)
    return [(rows[learnt], rows[held]) for learnt, held in pairs]


def _of_named(pool: Pool, validation: Positions, seed: int) -> list[Fold]:
    train = np.arange(pool.first_validation)
    halves = [half for _, half in crossed(pool.structure.of(validation), len(validation), 2, seed)]
    if len(halves) < 2:
        return [Fold(train, validation)]
    first, second = (validation[half] for half in halves)
    return [Fold(train, first, steering=second), Fold(train, second, steering=first)]


def _by_chance(pool: Pool, rows: Positions, count: int, generator: np.random.Generator) -> Iterator[Pair]:
    is_regression = pool.schema.task == "regression"
    target = pool.rows.target[rows]
    codes = None if is_regression else target.astype(np.int64)
    if pool.structure.groups is not None:
        groups = np.unique(pool.structure.groups[rows], return_inverse=True)[1].astype(np.int64)
        pairs = group_folds(groups, codes, min(count, int(groups.max()) + 1), generator)
        yield from ((rows[learnt], rows[held]) for learnt, held in pairs)
    elif codes is None:
        pairs = spread_folds(target.astype(np.float64), min(count, len(rows)), generator)
        yield from ((rows[learnt], rows[held]) for learnt, held in pairs)
    else:
        sizes = np.bincount(codes)[codes]
        # of many small classes there are fewer folds, so that most rows can be held out
        count = max(2, min(count, int(np.median(sizes)))) if len(rows) else count
        # a class of fewer rows than folds would be missing from what some fold learns
        common = rows[sizes >= count]
        for _, held in stratified_folds(pool.rows.target[common].astype(np.int64), count, generator):
            yield np.setdiff1d(rows, common[held]), common[held]


def _over_time(pool: Pool, times: npt.NDArray[Any], count: int) -> list[Fold]:
    structure = pool.structure
    everyone = np.arange(len(pool))
    validation = everyone[pool.first_validation :]
    earlier = everyone[: pool.first_validation] if len(validation) else everyone
    groups = structure.groups
    moments = len(np.unique(times[earlier]))
    if moments < 2 and not len(validation):
        raise DataError("all rows have one time: no fold can be later than another", hint="leave data.time_column")
    found: list[Pair] = []
    # the first part is only learnt from; the validation rows, where there are some, are the last part
    wanted = min(count - 1 if len(validation) else count, moments - 1)
    if wanted >= 1:
        own = None if groups is None else groups[earlier]
        pairs = time_folds(times[earlier], own, wanted, structure.gap, rolling=structure.rolling)
        try:
            found = [(earlier[learnt], earlier[held]) for learnt, held in pairs]
        except DataError:  # the gap leaves nothing; the validation rows may have something older
            found = []
    if len(validation):
        found.append((_before(validation, earlier, found, structure), validation))
    found = [pair for pair in found if len(pair[0])]
    if not found:
        hint = "give a smaller split.gap, or use one family without folds"
        raise DataError("no row is older than those that judge it, by the gap and in another group", hint=hint)
    return [Fold(learnt, held, serves=place == len(found) - 1) for place, (learnt, held) in enumerate(found)]


def _before(validation: Positions, earlier: Positions, found: list[Pair], structure: Structure) -> Positions:
    """What the fold of the validation rows learns from."""
    times, groups = structure.times, structure.groups
    if times is None:
        return earlier
    learnt = earlier[times[earlier] <= times[validation].min() - structure.gap]
    if structure.rolling and found:
        kept = len(np.unique(times[found[0][0]]))
        learnt = learnt[times[learnt] >= np.unique(times[learnt])[-kept:].min()]
    if groups is not None:
        learnt = learnt[~np.isin(groups[learnt], groups[validation])]
    return np.asarray(learnt, np.int64)
