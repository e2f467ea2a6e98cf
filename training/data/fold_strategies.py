"""The arithmetic of folds: from classes, groups and times to pairs of train and validation positions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from training.errors import DataError

Positions = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64] | Positions
Pair = tuple[Positions, Positions]


def random_folds(rows: int, folds: int, generator: np.random.Generator) -> Iterator[Pair]:
    """By chance; the sizes differ by one at most."""
    place = np.empty(rows, np.int64)
    place[np.argsort(generator.random(rows), kind="stable")] = np.arange(rows) % folds
    yield from _from_places(place, folds)


def stratified_folds(codes: Positions, folds: int, generator: np.random.Generator) -> Iterator[Pair]:
    """By chance within each class: rows of a class are dealt to the folds in turn."""
    shuffled = np.argsort(generator.random(len(codes)), kind="stable")
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    place = np.empty(len(codes), np.int64)
    # dealt on from one class to the next, so that many small classes do not all begin with the first fold
    place[by_class] = np.arange(len(codes)) % folds
    yield from _from_places(place, folds)


def spread_folds(target: npt.NDArray[np.float64], folds: int, generator: np.random.Generator) -> Iterator[Pair]:
    """Neighbours in the target fall into different folds, so that the folds have the same spread."""
    order = np.argsort(generator.random(len(target)), kind="stable")
    ranked = order[np.argsort(target[order], kind="stable")]
    place = np.empty(len(target), np.int64)
    for start in range(0, len(target), folds):
        block = ranked[start : start + folds]
        place[block] = np.argsort(generator.random(folds), kind="stable")[: len(block)]
    yield from _from_places(place, folds)


def group_folds(
    groups: Positions, codes: Positions | None, folds: int, generator: np.random.Generator
) -> Iterator[Pair]:  # fmt: skip
    """Whole groups, large ones first, each to the fold that then has the most even share of rows and classes.

    Raises:
        DataError: fewer groups than folds.
    """
    number = int(groups.max()) + 1
    if number < folds:
        hint = "Give more groups, or ask for fewer folds."
        raise DataError.at("data.group_column", number, f"{number} groups do not fill {folds} folds", hint=hint)
    classes = 1 if codes is None else int(codes.max()) + 1
    flat = groups * classes + (0 if codes is None else codes)
    table = np.bincount(flat, minlength=number * classes).reshape(number, classes).astype(np.float64)
    table /= np.maximum(table.sum(axis=0), 1)
    # equal groups come in an order of chance
    order = np.lexsort((generator.random(number), -np.bincount(groups, minlength=number)))
    held = np.zeros((folds, classes))
    chosen = np.empty(number, np.int64)
    for group in order:
        after = ((held + table[group]) ** 2).sum(axis=1) - (held**2).sum(axis=1)
        chosen[group] = int(np.argmin(after))
        held[chosen[group]] += table[group]
    yield from _from_places(chosen[groups], folds)


def time_folds(
    times: Times, groups: Positions | None, folds: int, gap: float, *, rolling: bool
) -> Iterator[Pair]:  # fmt: skip
    """Each fold is fitted on rows at least `gap` older than the rows that judge it; rows of one moment stay together.

    The first folds fall away where the gap leaves them nothing to fit on.

    Args:
        times: [n] comparable, none missing; a gap is in their unit, microseconds for moments.
        groups: [n] codes; earlier rows of a group that also judges are left out.
        folds: how many.
        gap: what lies between.
        rolling: whether each fold is fitted on as many moments as the first, instead of all earlier ones.

    Raises:
        DataError: fewer different moments than folds, or a gap that leaves nothing to fit on.
    """
    moments, place = np.unique(times, return_inverse=True)
    if len(moments) <= folds:
        hint = "Name a finer data.time_column, or ask for fewer folds."
        reason = f"{len(moments)} different times do not fill {folds} folds"
        raise DataError.at("data.time_column", len(moments), reason, hint=hint)
    # the folds hold about the same number of rows, and one moment at least
    filled = np.cumsum(np.bincount(place)) / len(times)
    wished = np.searchsorted(filled, np.linspace(0, 1, folds + 2)[1:-1]) + 1
    latest = len(moments) - np.arange(folds, 0, -1)
    starts = [int(wished[0].clip(1, latest[0]))]
    for number in range(1, folds):
        starts.append(int(wished[number].clip(starts[-1] + 1, latest[number])))
    ends = [*starts[1:], len(moments)]
    found = False
    for start, end in zip(starts, ends, strict=True):
        first = start - starts[0] if rolling else 0
        train = np.flatnonzero((place >= first) & (place < start) & (times <= moments[start] - gap))
        validation = np.flatnonzero((place >= start) & (place < end))
        if groups is not None:
            train = train[~np.isin(groups[train], groups[validation])]
        if len(train):
            found = True
            yield train, validation
    if not found:
        reason = "nothing older than the gap is left to fit on"
        raise DataError.at("split.gap", gap, reason, hint="Give a smaller gap.")


def _from_places(place: Positions, folds: int) -> Iterator[Pair]:
    for fold in range(folds):
        yield np.flatnonzero(place != fold), np.flatnonzero(place == fold)
