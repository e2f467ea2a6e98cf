"""Drift of single columns: features and scores, each against the same column of the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from training.monitoring.discovery import q_values
from training.monitoring.drift import DRIFT_TESTS, DriftTest, NumericSample, Sample, kind_of
from training.monitoring.results import DriftRow
from training.monitoring.samples import part_of, sample_of

MIN_CHUNK_ROWS = 500
MAX_CHUNKS = 10
"""Of the reference; a reference that is too small for two of them is taken to be stationary."""


def chunks(rows: int) -> list[tuple[int, int]]:
    """Bounds of equal parts of the reference, in its order; none where there are too few rows."""
    count = min(MAX_CHUNKS, rows // MIN_CHUNK_ROWS)
    if count < 2:
        return []
    bounds = np.linspace(0, rows, count + 1).astype(int)
    return [(int(start), int(stop)) for start, stop in pairwise(bounds)]


@dataclass(frozen=True)
class ColumnReference:
    """A column of the reference, the tests for it, and the largest effect beyond noise between one of the reference's
    chunks and the whole, by test: what the column did while all was well is no drift."""

    name: str
    sample: Sample
    tests: tuple[DriftTest, ...]
    thresholds: Mapping[str, float]


def column_reference(name: str, column: Any, kind: str, tests: Sequence[str]) -> ColumnReference | None:
    """The reference of a column; None where it has no value or no test fits.

    Args:
        name: of the column.
        column: pyarrow array of all reference rows, in their order.
        kind: numeric, boolean or categorical.
        tests: names of the tests that decide.
    """
    whole = sample_of(column, kind)
    if not len(whole):
        return None
    fitting = tuple(DRIFT_TESTS[test] for test in tests if kind_of(whole) in DRIFT_TESTS[test].kinds)
    if not fitting:
        return None
    parts = [part_of(column, kind, start, stop) for start, stop in chunks(len(column))]
    thresholds = {
        test.name: max([test.min_effect, *(test.measure(whole, part).excess for part in parts if len(part))])
        for test in fitting
    }
    return ColumnReference(name, whole, fitting, thresholds)


def compare(references: Sequence[ColumnReference], samples: Mapping[str, Sample], alpha: float) -> list[DriftRow]:
    """All tests of all columns of a window, with false discoveries controlled at `alpha` over all of them."""
    found = [
        (reference, test, test.measure(reference.sample, samples[reference.name]))
        for reference in references
        if len(samples[reference.name])
        for test in reference.tests
    ]
    adjusted = q_values([measure.p_value for _, _, measure in found])
    return [
        DriftRow(
            column=reference.name, test=test.name, statistic=measure.statistic, p_value=measure.p_value,
            q_value=float(q_value), effect=measure.effect, excess=measure.excess,
            threshold=reference.thresholds[test.name],
            drifted=bool(q_value <= alpha and measure.excess > reference.thresholds[test.name]),
        )
        for (reference, test, measure), q_value in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def score_samples(scores: Any, names: Sequence[str]) -> dict[str, Sample]:
    """The columns of scores, [n, k], as samples."""
    return {name: NumericSample.of(scores[:, number]) for number, name in enumerate(names)}
