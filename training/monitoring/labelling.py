"""The rows that are worth a label, those where the estimated loss has grown, and what their labels say of the alarm."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from training.monitoring.estimators import ConfidenceBased, DirectLoss, estimator_for
from training.monitoring.inflow import ID
from training.monitoring.multivariate import MultivariateReference
from training.monitoring.profile import ReferenceProfile
from training.monitoring.store import StreamStore
from training.monitoring.stream import Observed, Rows

FloatArray = npt.NDArray[np.float64]
POOL_ROWS = 1_000
PREDICTION_ID = "prediction_id"
ALPHA = 0.01
"""Of the test that tells concept drift from chance."""
MIN_LABELS = 20
"""With fewer nothing is concluded."""


@dataclass(frozen=True)
class ToLabel:
    """Rows that were written for a pool. `source`: a data source; `grown`: how many rows of the window had a loss that
    has grown; `growth`: the mean estimated loss of the window minus that of the reference."""

    rows: int
    grown: int = 0
    growth: float = 0.0
    source: Mapping[str, Any] | None = None


def rows_to_label(
    profile: ReferenceProfile, observed: Observed, bounds_us: tuple[int, int], store: StreamStore
) -> ToLabel:
    """Writes the unlabelled rows of a window where the estimated loss has grown most, as a file that a pool can read.

    With L the estimated loss of a row and r, w the densities of reference and window, the loss has grown in the mean by
    E_w[L] - E_r[L] = E_w[L (1 - r / w)]: the term of each row is its part in the growth, and rows with the largest
    parts come first. A classifier that tells the window from the reference gives r / w (Bickel, Brückner and Scheffer
    2009).

    Args:
        profile: the reference.
        observed: the stream.
        bounds_us: start and end of the window that alarmed.
        store: where the file is written.

    Raises:
        UnavailableError: the storage does not answer.
    """
    inside = (observed.time_us >= bounds_us[0]) & (observed.time_us <= bounds_us[1]) & ~np.isfinite(observed.actual)
    chosen = np.flatnonzero(inside)
    if not len(chosen):
        return ToLabel(0)
    rows, reference = observed.rows(chosen), Rows(profile.schema, profile.table, profile.actual)
    losses = _Losses(reference)
    window_losses = losses.expected(rows)
    parts = window_losses * (1 - MultivariateReference(reference).density_ratio(rows))
    grown = np.flatnonzero(parts > 0)
    order = grown[np.argsort(-parts[grown], kind="stable")[:POOL_ROWS]]
    growth = float(window_losses.mean() - losses.expected(reference).mean())
    if not len(order):
        return ToLabel(0, 0, growth)
    frame = rows.frame().iloc[order].reset_index(drop=True)
    frame.insert(0, PREDICTION_ID, np.asarray(rows.table[ID].to_pylist(), dtype=object)[order])
    path = f"to_label/{bounds_us[0]}_{len(frame)}.parquet"
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    store.write(path, sink.getvalue())
    return ToLabel(
        len(frame), len(grown), growth, {"type": "file", "uri": store.uri(path), "format": "parquet"}
    )  # fmt: skip


def confirm(profile: ReferenceProfile, observed: Observed, labels: Mapping[str, float]) -> dict[str, Any]:
    """Whether labelled rows bear out their estimated loss: what the estimate can't see is concept drift.

    The rows were chosen by their features and scores, never by their labels. So, unless the same inputs have come to
    mean another outcome, the mean of observed minus estimated loss is 0 but for chance, whatever rows were chosen; it
    is tested from one side, for a larger loss.

    Args:
        profile: the reference.
        observed: the stream.
        labels: class code or value by id of the prediction.

    Returns:
        `labels`, the number of them that belong to the stream; with at least MIN_LABELS also `expected_loss` and
        `observed_loss` (share of wrong decisions, or mean absolute error), `p_value` and `concept_drift`.
    """
    ids = observed.rows(np.arange(len(observed))).table[ID].to_pylist() if len(observed) else []
    chosen = np.array([place for place, name in enumerate(ids) if name in labels], dtype=np.int64)
    if len(chosen) < MIN_LABELS:
        return {"labels": len(chosen), "concept_drift": None}
    actual = np.array([labels[ids[place]] for place in chosen])
    found = observed.rows(chosen)
    rows = Rows(found.schema, found.table, actual)
    losses = _Losses(Rows(profile.schema, profile.table, profile.actual))
    expected, seen = losses.expected(rows), losses.observed(rows)
    # the variance that the estimate itself implies: under it, one of a few rows that is wrong is no surprise
    variance = expected * (1 - expected) if profile.schema.task != "regression" else np.full(len(rows), seen.var())
    z = float((seen - expected).sum() / np.sqrt(max(float(variance.sum()), 1e-12)))
    p_value = float(norm.sf(z))
    return {
        "labels": len(chosen), "expected_loss": float(expected.mean()), "observed_loss": float(seen.mean()),
        "p_value": p_value, "concept_drift": p_value <= ALPHA,
    }  # fmt: skip


class _Losses:
    """Of single rows: whether the decision is wrong, or the absolute error."""

    def __init__(self, reference: Rows) -> None:
        self._estimator = estimator_for(reference)

    def expected(self, rows: Rows) -> FloatArray:
        """Without outcomes, [n]."""
        if isinstance(self._estimator, DirectLoss):
            return self._estimator.losses(rows)
        if not isinstance(self._estimator, ConfidenceBased):
            raise TypeError(f"no losses by row from {self._estimator.name}")
        chances = self._estimator.probabilities(rows.scores)
        return np.asarray(1.0 - chances[np.arange(len(rows)), _decided(rows)], dtype=np.float64)

    def observed(self, rows: Rows) -> FloatArray:
        """With outcomes, [n]."""
        if rows.schema.task == "regression":
            return np.abs(rows.actual - rows.scores[:, 0])
        return np.asarray(_decided(rows) != rows.actual, dtype=np.float64)


def _decided(rows: Rows) -> npt.NDArray[np.int64]:
    """The class that is decided on, [n]."""
    if rows.schema.task == "multiclass":
        return np.asarray(rows.scores.argmax(axis=1), dtype=np.int64)
    threshold = 0.5 if rows.schema.threshold is None else rows.schema.threshold
    return np.asarray(rows.scores[:, 0] >= threshold, dtype=np.int64)
