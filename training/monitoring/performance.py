"""Metrics of a window, estimated and realised, against bounds from the reference's own variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from training.evaluation import evaluate, greater_is_better, metrics_of, point_metrics, primary_metric
from training.monitoring.estimators import Estimator, estimator_for
from training.monitoring.results import CalibrationRow, MetricRow
from training.monitoring.stream import Rows
from training.monitoring.univariate import chunks
from training.result import Interval

BOOTSTRAP_SAMPLES = 200
CONFIDENCE = 0.95
Z95 = 1.959964
MIN_DROP = 0.002
"""Of the reference's value: a smaller loss is no alarm, however many rows say that it is there."""
ESTIMATE_SAMPLES, ESTIMATE_SAMPLE_ROWS = 30, 2_000
MIN_LABELLED = 50
"""With fewer outcomes a window's realised metrics are not judged."""


@dataclass(frozen=True)
class MetricBand:
    """What a metric does in the reference: its value, its sampling deviation for one row (sd times root n), and the
    variance between the reference's chunks beyond what sampling explains."""

    value: float
    unit_sd: float
    extra_variance: float

    def sd(self, rows: int, reference_rows: int) -> float:
        """Of the difference between a window of so many rows and the reference."""
        return float(np.sqrt(self.unit_sd**2 * (1 / rows + 1 / reference_rows) + self.extra_variance))


@dataclass(frozen=True)
class PerformanceReference:
    """The reference's metrics, and an estimator that was fitted on it. `rows`: with all outcomes known."""

    rows: Rows

    @cached_property
    def estimator(self) -> Estimator:
        """For rows without outcomes."""
        return estimator_for(self.rows)

    @property
    def primary(self) -> str:
        """The metric that alarms."""
        return primary_metric(self.rows.schema.task)

    @cached_property
    def intervals(self) -> Mapping[str, Interval]:
        """Metrics of the reference."""
        return evaluate(
            self.rows.schema.task, _target(self.rows), _scores(self.rows), threshold=self.rows.schema.threshold,
            bootstrap_samples=BOOTSTRAP_SAMPLES, confidence=CONFIDENCE,
        )  # fmt: skip

    @cached_property
    def bands(self) -> Mapping[str, MetricBand]:
        """By metric; those that are not defined on the reference are left out."""
        parts = [_slice(self.rows, start, stop) for start, stop in chunks(len(self.rows))]
        by_part = [realised_metrics(part, list(self.intervals)) for part in parts]
        return {
            metric: self._band(metric, interval, [found[metric] for found in by_part if metric in found])
            for metric, interval in self.intervals.items()
            if interval.value is not None and interval.low is not None and interval.high is not None
        }

    @cached_property
    def estimated_bands(self) -> Mapping[str, MetricBand]:
        """The same for the estimates, which vary less than what they estimate: over even samples of the reference."""
        metrics = metrics_of(self.rows.schema.task)
        whole, generator = self.estimator.estimate(self.rows, metrics), np.random.default_rng(6)
        size = min(len(self.rows), ESTIMATE_SAMPLE_ROWS)
        found = [
            self.estimator.estimate(_taken(self.rows, generator.integers(0, len(self.rows), size)), metrics)
            for _ in range(ESTIMATE_SAMPLES)
        ]
        parts = [_slice(self.rows, start, stop) for start, stop in chunks(len(self.rows))]
        by_part = [self.estimator.estimate(part, metrics) for part in parts]
        bands = {}
        for metric, value in whole.items():
            unit_sd = float(np.std([each.get(metric, value) for each in found], ddof=1)) * np.sqrt(size)
            bands[metric] = self._widened(value, unit_sd, [each[metric] for each in by_part if metric in each])
        return bands

    def _band(self, metric: str, interval: Interval, by_part: Sequence[float]) -> MetricBand:
        low, high = interval.low or 0.0, interval.high or 0.0
        return self._widened(interval.value or 0.0, (high - low) / (2 * Z95) * np.sqrt(len(self.rows)), by_part)

    def _widened(self, value: float, unit_sd: float, by_part: Sequence[float]) -> MetricBand:
        extra = 0.0
        if len(by_part) > 2:
            sampling = unit_sd**2 * len(by_part) / len(self.rows)
            extra = max(0.0, float(np.var(by_part, ddof=1)) - sampling)
        return MetricBand(value, float(unit_sd), extra)

    def judged(
        self, values: Mapping[str, float], rows: int, alpha: float, bands: Mapping[str, MetricBand]
    ) -> list[MetricRow]:
        """Metrics of a window with bounds; the primary one alarms where it is worse than it may be at `alpha`.

        The interval is the one in which the realised metric of so many rows is to be expected.
        """
        found = []
        z = float(norm.isf(alpha))
        for metric in metrics_of(self.rows.schema.task):
            band, own = bands.get(metric), self.bands.get(metric)
            if band is None or own is None or metric not in values:
                continue
            value, sd = values[metric], own.sd(rows, len(self.rows))
            worse = -1.0 if greater_is_better(metric) else 1.0
            least = max(z * band.sd(rows, len(self.rows)), MIN_DROP * abs(band.value))
            threshold = band.value + worse * least
            found.append(
                MetricRow(
                    metric=metric, value=value, low=value - Z95 * sd, high=value + Z95 * sd, reference=band.value,
                    threshold=threshold, alarm=metric == self.primary and worse * (value - threshold) > 0,
                )
            )  # fmt: skip
        return found

    def estimated(self, rows: Rows, alpha: float) -> list[MetricRow]:
        """Estimated metrics of a window."""
        values = self.estimator.estimate(rows, metrics_of(rows.schema.task))
        return self.judged(values, len(rows), alpha, self.estimated_bands)

    def realised(self, rows: Rows, alpha: float) -> list[MetricRow]:
        """Realised metrics of the rows whose outcome is known; none where there are too few."""
        if len(rows) < MIN_LABELLED:
            return []
        return self.judged(realised_metrics(rows, metrics_of(rows.schema.task)), len(rows), alpha, self.bands)

    def calibration(self, rows: Rows, alpha: float) -> list[CalibrationRow]:
        """Observed minus predicted on labelled rows: the share of each class, or the mean residual."""
        if len(rows) < MIN_LABELLED:
            return []
        gaps = _gaps(self.rows), _gaps(rows)
        bound = alpha / max(1, len(gaps[0]))
        return [_calibration_row(name, before, gaps[1][name], bound) for name, before in gaps[0].items()]


def realised_metrics(rows: Rows, metrics: Sequence[str]) -> dict[str, float]:
    """Metrics of rows whose outcomes are all known."""
    return point_metrics(
        rows.schema.task, _target(rows), _scores(rows), metrics=list(metrics), threshold=rows.schema.threshold
    )


def labelled(rows: Rows) -> Rows:
    """The rows whose outcome is known."""
    known = np.isfinite(rows.actual)
    return Rows(rows.schema, rows.table.filter(known), rows.actual[known])


def _gaps(rows: Rows) -> dict[str, np.ndarray]:
    """Observed minus predicted of each row, by output."""
    schema = rows.schema
    if schema.task == "regression":
        return {"residual": rows.actual - rows.scores[:, 0]}
    if schema.task == "binary":
        return {schema.classes[1]: (rows.actual == 1) - rows.scores[:, 0]}
    return {name: (rows.actual == code) - rows.scores[:, code] for code, name in enumerate(schema.classes)}


def _calibration_row(output: str, before: np.ndarray, after: np.ndarray, alpha: float) -> CalibrationRow:
    """Welch's test that the mean gap is that of the reference."""
    gap = float(after.mean())
    sd = float(np.sqrt(before.var() / len(before) + after.var() / len(after)))
    z = (gap - float(before.mean())) / sd if sd else 0.0
    p_value = float(2 * norm.sf(abs(z)))
    own = Z95 * float(np.sqrt(after.var() / len(after)))
    return CalibrationRow(output=output, gap=gap, low=gap - own, high=gap + own, p_value=p_value,
                          alarm=p_value <= alpha)  # fmt: skip


def _slice(rows: Rows, start: int, stop: int) -> Rows:
    return Rows(rows.schema, rows.table.slice(start, stop - start), rows.actual[start:stop])


def _taken(rows: Rows, chosen: np.ndarray) -> Rows:
    return Rows(rows.schema, rows.table.take(pa.array(chosen)), rows.actual[chosen])


def _target(rows: Rows) -> np.ndarray:
    return rows.actual if rows.schema.task == "regression" else rows.actual.astype(np.int64)


def _scores(rows: Rows) -> np.ndarray:
    scores = rows.scores
    return scores if rows.schema.task == "multiclass" else scores[:, 0]
