"""The arithmetic of splits: from sizes, classes, groups and times to three sets of positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.errors import DataError

Positions = npt.NDArray[np.int64]
GROUP_TRIES = 32
MIN_ROWS_PER_CLASS = 3


class Parts(NamedTuple):
    """Positions of the three parts, in any order, disjoint; `note` says what is odd."""

    train: Positions
    validation: Positions
    test: Positions
    note: str = ""


class Sizes(NamedTuple):
    """Shares as the spec gives them: test of all rows, validation of the rest."""

    test: float
    validation: float

    def counts(self, rows: int) -> tuple[int, int]:
        """Numbers of validation and test rows, each at least one."""
        test = max(1, round(rows * self.test))
        return max(1, round((rows - test) * self.validation)), test


def random_parts(rows: int, sizes: Sizes, seed: int) -> Parts:
    """By chance."""
    order = _shuffled(np.arange(rows), np.random.default_rng(seed))
    validation, test = sizes.counts(rows)
    return Parts(order[test + validation :], order[test : test + validation], order[:test])


def stratified_parts(codes: Positions, sizes: Sizes, seed: int, names: tuple[str, ...], *, strict: bool) -> Parts:
    """By chance within each class; every part gets at least one row of each class of three rows or more.

    Raises:
        DataError: `strict`, and a class has fewer than three rows.
    """
    generator = np.random.default_rng(seed)
    parts: tuple[list[Positions], list[Positions], list[Positions]] = ([], [], [])
    rare = []
    counts = np.bincount(codes, minlength=len(names))
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    for code, own in enumerate(members):
        if 0 < len(own) < MIN_ROWS_PER_CLASS:
            rare.append(code)
            parts[0].append(own)
        elif len(own):
            order = _shuffled(own, generator)
            validation, test = sizes.counts(len(own))
            test = min(test, len(own) - 2)
            validation = min(validation, len(own) - test - 1)
            parts[0].append(order[test + validation :])
            parts[1].append(order[test : test + validation])
            parts[2].append(order[:test])
    if rare and strict:
        code = rare[0]
        count = f"{counts[code]} row{'s' if counts[code] > 1 else ''}"
        reason = f"class {names[code]!r} has {count}; stratified needs {MIN_ROWS_PER_CLASS}, one for each part"
        hint = "Add rows of that class, merge or leave it out, or use split.strategy random or auto."
        raise DataError.at("split.strategy", "stratified", reason, hint=hint)
    listed = ", ".join(names[code] for code in rare[:5]) + (", …" if len(rare) > 5 else "")
    note = f"classes of fewer than {MIN_ROWS_PER_CLASS} rows go to the train rows: {listed}" if rare else ""
    return Parts(_joined(parts[0]), _joined(parts[1]), _joined(parts[2]), note)


def group_parts(groups: Positions, codes: Positions | None, sizes: Sizes, seed: int) -> Parts:
    """Whole groups, by chance: of GROUP_TRIES orders the one whose parts are nearest to the sizes and class shares.

    Args:
        groups: [n] codes from 0.
        codes: [n] class codes; None for regression.
        sizes: shares.
        seed: of the chance.

    Raises:
        DataError: fewer than three groups.
    """
    group_sizes = np.bincount(groups)
    number = len(group_sizes)
    if number < 3:
        hint = "Give more groups, or leave data.group_column out."
        raise DataError.at("data.group_column", number, f"{number} groups; a split needs three at least", hint=hint)
    table = _class_table(groups, codes, number)
    validation, test = sizes.counts(len(groups))
    wanted = np.array([validation, test]) / len(groups)
    generator = np.random.default_rng(seed)
    best: tuple[float, Positions, int, int] | None = None
    for _ in range(GROUP_TRIES):
        order = _shuffled(np.arange(number), generator)
        ends = np.cumsum(group_sizes[order])
        first = _cut(ends, test, 1, number - 2)
        second = _cut(ends, ends[first - 1] + validation, first + 1, number - 1)
        shares = np.array([table[order[first:second]].sum(axis=0), table[order[:first]].sum(axis=0)]) / table.sum(
            axis=0
        )
        distance = float(np.abs(shares - wanted[:, None]).max(axis=1).sum())
        if best is None or distance < best[0]:
            best = distance, order, first, second
    if best is None:
        raise AssertionError("at least one order was tried")
    _, order, first, second = best
    part_of = np.zeros(number, dtype=np.int8)
    part_of[order[:first]], part_of[order[first:second]] = 2, 1
    part = part_of[groups]
    return Parts(np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2), f"{number:,} groups")


def time_parts(
    times: npt.NDArray[np.float64] | Positions, groups: Positions | None, sizes: Sizes, gap: float = 0.0
) -> Parts:
    """The latest rows for testing, those before them for validation; rows of one moment stay together.

    Args:
        times: [n], comparable, none missing.
        groups: [n] codes; rows of a group that is also in a later part are left out of the earlier ones.
        sizes: shares.
        gap: in the unit of `times`; rows in the gap before the validation and before the test rows are left out.

    Raises:
        DataError: fewer than three different moments, or a gap that leaves nothing.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    borders = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if len(borders) < 2:
        hint = "Name a finer data.time_column, or another split.strategy."
        reason = f"{len(borders) + 1} different times; a split by time needs three at least"
        raise DataError.at("data.time_column", len(borders) + 1, reason, hint=hint)
    validation, test = sizes.counts(len(times))
    second = int(_nearest(borders[1:], len(times) - test))
    first = int(_nearest(borders[borders < second], second - validation))
    parts = order[:first], order[first:second], order[second:]
    gap_note = ""
    if gap:
        parts = (
            parts[0][times[parts[0]] <= ordered[first] - gap],
            parts[1][times[parts[1]] <= ordered[second] - gap],
            parts[2],
        )
        left = len(times) - sum(map(len, parts))
        gap_note = f"{left:,} rows in the gaps are left out"
        if not len(parts[0]) or not len(parts[1]):
            reason = "the gap leaves no train rows" if not len(parts[0]) else "the gap leaves no validation rows"
            raise DataError.at("split.gap", gap, reason, hint="Give a smaller gap, or other sizes.")
    if groups is None:
        return Parts(*parts, gap_note)
    late = np.isin(groups[parts[1]], groups[parts[2]])
    kept_validation = parts[1][~late]
    early = np.isin(groups[parts[0]], groups[_joined([kept_validation, parts[2]])])
    left_out = int(late.sum() + early.sum())
    note = f"{left_out:,} earlier rows of groups that occur later too are left out" if left_out else ""
    return Parts(parts[0][~early], kept_validation, parts[2], "; ".join(one for one in (gap_note, note) if one))


def _shuffled(values: Positions, generator: np.random.Generator) -> Positions:
    # sorting uniform draws: their stream is stable over numpy's releases, that of permutation() is not promised
    shuffled: Positions = values[np.argsort(generator.random(len(values)), kind="stable")]
    return shuffled


def _joined(parts: list[Positions]) -> Positions:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _class_table(groups: Positions, codes: Positions | None, number: int) -> Positions:
    """[groups, 1 + classes] rows of each group, in all and by class; classes without rows are left out."""
    sizes = np.bincount(groups, minlength=number)[:, None]
    if codes is None:
        return sizes
    width = int(codes.max()) + 1
    by_class = np.bincount(groups * width + codes, minlength=number * width).reshape(number, width)
    table: Positions = np.hstack([sizes, by_class[:, by_class.sum(axis=0) > 0]])
    return table


def _cut(ends: Positions, wanted: int, low: int, high: int) -> int:
    """Number of leading groups, in [low, high], whose rows come nearest to the wanted number."""
    candidates = ends[low - 1 : high]
    return low + int(np.argmin(np.abs(candidates - wanted)))


def _nearest(borders: Positions, wanted: int) -> np.int64:
    border: np.int64 = borders[np.argmin(np.abs(borders - wanted))]
    return border
