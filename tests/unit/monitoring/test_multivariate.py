"""Drift of all features together, where there are few of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from training.monitoring.multivariate import MultivariateReference
from training.monitoring.results import MultivariateRow
from training.monitoring.schema import FEATURE, MonitoredSchema
from training.monitoring.stream import Rows
from training.mts_scoring.columns import Feature

ALPHA = 0.01


def rows(matrix: np.ndarray) -> Rows:
    names = [f"x{number}" for number in range(matrix.shape[1])]
    schema = MonitoredSchema("regression", (), tuple(Feature(name, "numeric") for name in names), "y", None)
    table = pa.table({FEATURE + name: matrix[:, number] for number, name in enumerate(names)})
    return Rows(schema, table, np.full(len(matrix), np.nan))


def reconstruction(reference: np.ndarray, window: np.ndarray) -> list[MultivariateRow]:
    found = MultivariateReference(rows(reference)).compare(rows(window), ALPHA)
    return [row for row in found if row.method == "pca_reconstruction"]


def test_two_independent_columns_leave_an_error_that_can_grow() -> None:
    generator = np.random.default_rng(0)
    before, calm = generator.normal(size=(1000, 2)), generator.normal(size=(500, 2))
    [quiet] = reconstruction(before, calm)
    assert quiet.reference > 0.1
    assert not quiet.drifted
    [wider] = reconstruction(before, calm * 2)
    assert wider.drifted


def test_columns_that_say_the_same_are_not_judged_by_rounding() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(1000, 1)), generator.normal(size=(500, 1))
    assert reconstruction(one, other) == []
    assert reconstruction(np.hstack([one, 3 * one + 1]), np.hstack([other, 3 * other + 1])) == []
