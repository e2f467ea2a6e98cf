"""The reference profile: rows that the version was measured on, with its scores, stored with the version.

Everything that a window is compared with is computed from it: distributions, thresholds, calibration. It holds raw
rows, as the model's input example does, and lies where the model lies.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from training.monitoring.attribution import importances
from training.monitoring.reading import stored_column
from training.monitoring.schema import FEATURE, MonitoredSchema, metadata_of, with_metadata
from training.mts_scoring.model import ScoringModel

PROFILE_FILE = "reference/profile.parquet"
MAX_ROWS = 20_000
"""Rows that are kept: more sharpen thresholds little, and the file is read by each check."""
ACTUAL = "actual"


@dataclass(frozen=True)
class ReferenceProfile:
    """Rows in the order of the data, [m].

    `table`: features, scores and the true value as `actual` (a class code, or a value); `hold_out_rows` says of how
    many rows they are a sample; `importance`: how much each feature moves the scores, see `attribution.importances`.
    """

    schema: MonitoredSchema
    table: Any
    hold_out_rows: int
    importance: Mapping[str, float]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def actual(self) -> npt.NDArray[np.float64]:
        """[m] class codes or values."""
        return np.asarray(self.table[ACTUAL].to_numpy(), dtype=np.float64)

    def dumped(self) -> bytes:
        """As a Parquet file."""
        sink = io.BytesIO()
        metadata = {
            "schema": self.schema.dumped(),
            "hold_out_rows": self.hold_out_rows,
            "importance": dict(self.importance),
        }
        pq.write_table(with_metadata(self.table, metadata), sink, compression="zstd")
        return sink.getvalue()

    @classmethod
    def parsed(cls, body: bytes) -> ReferenceProfile:
        """From what `dumped` gave."""
        table = pq.read_table(io.BytesIO(body))
        metadata = metadata_of(table)
        return cls(MonitoredSchema.parsed(metadata["schema"]), table, metadata["hold_out_rows"], metadata["importance"])


def build_profile(
    model: ScoringModel,
    frame: pd.DataFrame,
    target: npt.NDArray[Any],
    *,
    scored: npt.NDArray[np.float64] | None = None,
    importance: Mapping[str, float] | None = None,
) -> ReferenceProfile:
    """The profile of a version.

    Args:
        model: the version.
        frame: [n, features] its hold-out rows, which it was not fitted on.
        target: [n] class codes or values.
        scored: the model's scores of the rows, where they are known already.
        importance: by feature, where it is known already, as of an explanation; measured otherwise, see `importances`.
    """
    schema = MonitoredSchema.of(model)
    rows = len(frame)
    if rows > MAX_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False))
        frame, target = frame.iloc[chosen], target[chosen]
        scored = None if scored is None else scored[chosen]
    columns = {
        FEATURE + feature.name: stored_column(frame[feature.name].tolist(), feature.kind, feature.name)[0]
        for feature in schema.features
    }
    scores = as_score_columns(model.scores(frame) if scored is None else scored, schema)
    columns |= {name: pa.array(scores[:, number]) for number, name in enumerate(schema.score_columns)}
    table = pa.table(columns | {ACTUAL: pa.array(target.astype(np.float64))})
    return ReferenceProfile(schema, table, rows, dict(importance or importances(model, frame)))


def as_score_columns(scores: npt.NDArray[np.float64], schema: MonitoredSchema) -> npt.NDArray[np.float64]:
    """A model's scores as they are watched, [n, k]: of a binary task only those of the positive class."""
    if schema.task == "binary":
        return scores[:, 1:2]
    return scores.reshape(len(scores), -1)


def scores_of(table: Any, schema: MonitoredSchema) -> npt.NDArray[np.float64]:
    """The score columns of a stored table, [n, k]."""
    return np.column_stack([np.asarray(table[name].to_numpy(), dtype=np.float64) for name in schema.score_columns])
