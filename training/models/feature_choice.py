"""Which columns are made of others: the few that say something of the target which their sources alone do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.table import Rows, TableSchema
from training.mts_scoring.reading import read_labels, read_numbers
from training.spec import TreeFeature

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MANY_VALUES = 20
"""A column of fewer values is split well by trees as it is."""
PRIOR_ROWS = 10.0
"""A category's mean is drawn towards the mean of all as if by so many rows."""
MOST_COLUMNS = 24
"""Columns of each kind that are looked at: the number of pairs grows with its square."""
MOST_MADE = 8
"""Columns of each kind that are made."""
LEAST_GAIN = 0.002
"""Of the variance of the target: less is as likely chance."""
BINS = 16
ROWS_PER_CATEGORY = 20
"""A mean over fewer rows says little of the next row."""
SAMPLE_ROWS = 50_000
"""Rows that the choice is made on; evenly spaced."""


@dataclass(frozen=True)
class FeaturePlan:
    """What is made: encodings and counts of columns, crosses of pairs, and deviations of (category, number)."""

    encoded: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    crosses: tuple[tuple[str, str], ...] = ()
    aggregates: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.encoded or self.counted or self.crosses or self.aggregates)

    def of_target(self) -> FeaturePlan:
        """Only what holds something of the target."""
        return FeaturePlan(encoded=self.encoded, crosses=self.crosses)


def wide_columns(schema: TableSchema) -> list[str]:
    """Categorical columns of many values."""
    return [column.name for column in schema.features if column.kind == "categorical" and column.unique > MANY_VALUES]


def plan_features(wanted: Sequence[TreeFeature], rows: Rows, schema: TableSchema, targets: Numbers) -> FeaturePlan:
    """Chooses, on train rows alone.

    Pairs and aggregates are those that add most to the variance that is explained, by means that leave out the row
    itself; interactions of this kind are what trees find with difficulty (Tschalzev et al. 2025, TabPrep).

    Args:
        wanted: the kinds.
        rows: train rows.
        schema: of their columns.
        targets: [n, k] the target as numbers.

    Raises:
        InputError: a column holds what its kind does not allow.
    """
    wide = tuple(wide_columns(schema))
    sample = _Sample.of(rows, schema, targets) if {"crosses", "aggregates"} & set(wanted) else None
    return FeaturePlan(
        encoded=wide if "target_encoding" in wanted else (),
        counted=wide if "counts" in wanted else (),
        crosses=tuple(_best(sample.crosses())) if sample and "crosses" in wanted else (),
        aggregates=tuple(_best(sample.aggregates())) if sample and "aggregates" in wanted else (),
    )


@dataclass(frozen=True)
class _Sample:
    """Codes of categories (0 for missing) and numbers of some rows, and the target, centred, with variance 1 in all."""

    categories: dict[str, Codes]
    numbers: dict[str, Numbers]
    targets: Numbers
    weight: Numbers

    @classmethod
    def of(cls, rows: Rows, schema: TableSchema, targets: Numbers) -> _Sample:
        step = max(1, -(-len(rows) // SAMPLE_ROWS))
        frame, own = rows.frame.iloc[::step], targets[::step]
        weight = np.ones(len(own)) if rows.weight is None else rows.weight[::step]
        named = {kind: [c.name for c in schema.features if c.kind == kind] for kind in ("categorical", "numeric")}
        categories = {name: codes_of(frame[name], name)[0] + 1 for name in named["categorical"][:MOST_COLUMNS]}
        numbers = {name: read_numbers(frame[name], name).astype(np.float64) for name in named["numeric"][:MOST_COLUMNS]}
        centred = own - np.average(own, axis=0, weights=weight)
        spread = np.sqrt(np.average(np.square(centred).sum(axis=1), weights=weight))
        return cls(categories, numbers, centred / max(float(spread), 1e-300), weight)

    def crosses(self) -> Iterator[tuple[float, tuple[str, str]]]:
        """What each pair says beyond what its parts say one after the other."""
        left = {name: self._left(self.targets, codes) for name, codes in self.categories.items()}
        for one, two in itertools.combinations(self.categories, 2):
            width = int(self.categories[two].max()) + 1
            together = np.unique(self.categories[one] * width + self.categories[two], return_inverse=True)[1]
            if int(together.max()) + 1 > len(together) // ROWS_PER_CATEGORY:
                continue
            yield self._gain(self._left(left[one], self.categories[two]), together.astype(np.int64)), (one, two)

    def aggregates(self) -> Iterator[tuple[float, tuple[str, str]]]:
        """What a number's distance from the mean of its category says beyond the number and the category."""
        for name, values in self.numbers.items():
            known = ~np.isnan(values)
            weight = self.weight * known
            if not weight.any():
                continue
            left = self._left(self.targets, binned(values))
            filled = np.where(known, values, 0.0)
            mean = np.average(filled, weights=weight)
            for group, codes in self.categories.items():
                if int(codes.max()) + 1 > len(codes) // ROWS_PER_CATEGORY:
                    continue
                sums = np.bincount(codes, weights=weight) + PRIOR_ROWS
                means = (np.bincount(codes, weights=weight * filled) + PRIOR_ROWS * mean) / sums
                yield self._gain(self._left(left, codes), binned(values - means[codes])), (group, name)

    def _left(self, targets: Numbers, codes: Codes) -> Numbers:
        """[n, k] the targets without the mean of all other rows of the row's category, which is drawn towards 0."""
        sums = np.stack([np.bincount(codes, weights=self.weight * column) for column in targets.T], axis=1)
        counts = np.bincount(codes, weights=self.weight)
        others = sums[codes] - self.weight[:, None] * targets
        left: Numbers = targets - others / (counts[codes] - self.weight + PRIOR_ROWS)[:, None]
        return left

    def _gain(self, targets: Numbers, codes: Codes) -> float:
        """Share of the target's variance that the categories explain of what is left of it."""
        before, after = (np.square(left).sum(axis=1) for left in (targets, self._left(targets, codes)))
        return float(np.average(before - after, weights=self.weight))


def codes_of(values: Any, name: str) -> tuple[Codes, list[str]]:
    """Codes of distinct labels, -1 for missing; `read_labels` may list a label twice.

    Raises:
        InputError: a value has no label.
    """
    places, listed = read_labels(values, name)
    known: dict[str, int] = {}
    mapping = np.array([*(known.setdefault(label, len(known)) for label in listed), -1], dtype=np.int64)
    return mapping[places], list(known)


def binned(values: Numbers) -> Codes:
    """Bins with about as many rows each, from 1; 0 for missing."""
    known = ~np.isnan(values)
    edges = np.unique(np.quantile(values[known], np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    codes = np.zeros(len(values), np.int64)
    codes[known] = np.searchsorted(edges, values[known], side="right") + 1
    return codes


def _best(scored: Iterable[tuple[float, tuple[str, str]]]) -> list[tuple[str, str]]:
    found = sorted((pair for pair in scored if pair[0] > LEAST_GAIN), key=lambda pair: (-pair[0], pair[1]))
    return [names for _, names in found[:MOST_MADE]]
