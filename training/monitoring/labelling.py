"""The rows that are worth a label: those where the estimated loss has grown most. The seam to active learning."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from training.monitoring.estimators import ConfidenceBased, DirectLoss, estimator_for
from training.monitoring.inflow import ID
from training.monitoring.profile import ReferenceProfile
from training.monitoring.store import StreamStore
from training.monitoring.stream import Observed, Rows

POOL_ROWS = 1_000


def rows_to_label(
    profile: ReferenceProfile, observed: Observed, bounds_us: tuple[int, int], store: StreamStore
) -> dict[str, Any]:
    """Writes the unlabelled rows of a window with the largest estimated loss as a file that a pool can read.

    Args:
        profile: the reference.
        observed: the stream.
        bounds_us: start and end of the window that alarmed.
        store: where the file is written.

    Returns:
        {"source": a data source, "id_column", "rows"}; no rows where all outcomes are known.
    """
    inside = (observed.time_us >= bounds_us[0]) & (observed.time_us <= bounds_us[1]) & ~np.isfinite(observed.actual)
    chosen = np.flatnonzero(inside)
    if not len(chosen):
        return {"rows": 0}
    rows = observed.rows(chosen)
    order = np.argsort(-_losses(profile, rows), kind="stable")[:POOL_ROWS]
    frame = rows.frame().iloc[order].reset_index(drop=True)
    ids = np.asarray(rows.table[ID].to_pylist(), dtype=object)[order]
    frame.insert(0, "prediction_id", ids)
    path = f"to_label/{bounds_us[0]}_{len(frame)}.parquet"
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    store.write(path, sink.getvalue())
    source = {"type": "file", "uri": store.uri(path), "format": "parquet"}
    return {"source": source, "id_column": "prediction_id", "target": rows.schema.target, "rows": len(frame)}


def _losses(profile: ReferenceProfile, rows: Rows) -> Any:
    """Expected loss of each row: of the decided class being wrong, or the absolute error."""
    estimator = estimator_for(Rows(profile.schema, profile.table, profile.actual))
    if isinstance(estimator, DirectLoss):
        return estimator.losses(rows)
    if not isinstance(estimator, ConfidenceBased):
        raise TypeError(f"no losses by row from {estimator.name}")
    return 1.0 - estimator.probabilities(rows.scores).max(axis=1)
