"""Stored columns as samples for the drift tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from training.monitoring.drift import CategoricalSample, NumericSample, Sample

NUMERIC = frozenset({"numeric"})
WATCHED = frozenset({"numeric", "boolean", "categorical"})
"""Kinds whose distribution is compared; a time moves on by its nature."""


def sample_of(column: Any, kind: str) -> Sample:
    """A stored feature, without its missing values."""
    if kind in NUMERIC:
        return NumericSample.of(np.asarray(column.to_numpy(), dtype=np.float64))
    counts = pc.value_counts(column.drop_null() if hasattr(column, "drop_null") else pc.drop_null(column))
    return CategoricalSample({str(item["values"]): int(item["counts"]) for item in counts.to_pylist()
                              if item["values"] == item["values"]})  # fmt: skip


def part_of(column: Any, kind: str, start: int, stop: int) -> Sample:
    """Some rows side by side."""
    return sample_of(column.slice(start, stop - start), kind)
