"""All rows that a fit may learn from, and how they are divided so that each can be scored by a model that did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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
    """Positions in a pool: rows to learn from, and rows that are held out. `serves`: whether the model that is fitted
    here is part of the final one; over time only the last is, for the others know nothing of the latest rows."""

    learnt: Positions
    held: Positions
    serves: bool = True


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


def folds_of(pool: Pool, count: int, seed: int) -> list[Fold]:
    """Divides the pool into folds.

    - `fixed`: one, whose held rows are the validation rows.
    - times: the held rows of each fold are later than all that it learns from; the last one holds the validation rows.
      Rows of a group that is held out are not learnt from.
    - groups: whole groups, so that the folds are alike in size and classes.
    - otherwise: by chance, within each class; a class of fewer rows than folds is learnt from in all of them.

    Raises:
        DataError: too few rows or groups for two folds.
    """
    structure, number = pool.structure, len(pool)
    everyone = np.arange(number)
    validation = everyone[pool.first_validation :]
    if structure.fixed and len(validation):
        return [Fold(everyone[: pool.first_validation], validation)]
    if structure.times is not None:
        return _over_time(pool, structure.times, count)
    part = _groupwise(pool, structure.groups, count, seed) if structure.groups is not None else _chance(
        pool, count, seed
    )  # fmt: skip
    found = [Fold(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(part.max() + 1)]
    found = [fold for fold in found if len(fold.held) and len(fold.learnt)]
    if len(found) < 2:
        raise DataError(f"{number} rows do not fill two folds", hint="add rows, or use one family without a hybrid")
    return found


def _chance(pool: Pool, count: int, seed: int) -> Positions:
    """[n] fold of each row, -1 for rows that are held out in none."""
    number = len(pool)
    generator = np.random.default_rng(seed)
    order = np.argsort(generator.random(number), kind="stable")
    count = min(count, number)
    part = np.empty(number, np.int64)
    if pool.schema.task == "regression":
        # neighbours in the target fall into different folds, so that the folds have the same spread
        ranked = order[np.argsort(pool.rows.target[order], kind="stable")]
        for start in range(0, number, count):
            block = ranked[start : start + count]
            part[block] = np.argsort(generator.random(count), kind="stable")[: len(block)]
        return part
    codes = pool.rows.target.astype(np.int64)
    shift = 0
    for code in np.unique(codes):
        own = order[codes[order] == code]
        part[own] = (np.arange(len(own)) + shift) % count if len(own) >= count else -1
        shift += len(own)
    return part


def _groupwise(pool: Pool, groups: Positions, count: int, seed: int) -> Positions:
    """Each group, the largest first, goes to the fold that has least of its classes for its share."""
    _, codes = np.unique(groups, return_inverse=True)
    number = int(codes.max()) + 1
    count = min(count, number)
    target = pool.rows.target.astype(np.int64) if pool.schema.task != "regression" else np.zeros(len(codes), np.int64)
    width = int(target.max()) + 1
    table = np.bincount(codes * width + target, minlength=number * width).reshape(number, width).astype(np.float64)
    table = np.hstack([table, table.sum(axis=1, keepdims=True)])
    shares = table / np.maximum(table.sum(axis=0), 1.0)
    generator = np.random.default_rng(seed)
    shuffled = np.argsort(generator.random(number), kind="stable")
    order = shuffled[np.argsort(-table[shuffled, -1], kind="stable")]
    filled = np.zeros((count, shares.shape[1]))
    fold_of = np.empty(number, np.int64)
    for group in order:
        best = int(np.argmin(filled @ shares[group]))
        fold_of[group] = best
        filled[best] += shares[group]
    part: Positions = fold_of[codes]
    return part


def _over_time(pool: Pool, times: npt.NDArray[Any], count: int) -> list[Fold]:
    everyone = np.arange(len(pool))
    validation = everyone[pool.first_validation :]
    earlier = everyone[: pool.first_validation] if len(validation) else everyone
    order = earlier[np.argsort(times[earlier], kind="stable")]
    moments = times[order]
    borders = np.flatnonzero(moments[1:] != moments[:-1]) + 1
    if not len(borders):
        if not len(validation):
            raise DataError("all rows have one time: no fold can be later than another", hint="leave data.time_column")
        return [Fold(earlier, validation)]
    # the first part is only learnt from; the validation rows, where there are some, are the last part
    parts = count if len(validation) else count + 1
    wanted = [len(order) * step // parts for step in range(1, parts)]
    cuts = np.unique([borders[np.argmin(np.abs(borders - place))] for place in wanted])
    ends = np.append(cuts[1:], len(order))
    blocks = [order[start:end] for start, end in zip(cuts, ends, strict=True)]
    found = [(order[:start], block) for start, block in zip(cuts, blocks, strict=True)]
    if len(validation):
        found.append((earlier, validation))
    groups = pool.structure.groups
    last = len(found) - 1
    return [
        Fold(learnt if groups is None else learnt[~np.isin(groups[learnt], groups[held])], held, serves=place == last)
        for place, (learnt, held) in enumerate(found)
    ]
