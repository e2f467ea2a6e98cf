"""The report: every window of the stream against the reference profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa

from training.evaluation import slice_labels
from training.monitoring.attribution import attribute
from training.monitoring.estimators import LIMIT_NOTE
from training.monitoring.findings import findings_of
from training.monitoring.multivariate import MultivariateReference
from training.monitoring.performance import PerformanceReference, labelled, realised_metrics
from training.monitoring.profile import ReferenceProfile
from training.monitoring.quality import FeatureRange, check_quality, feature_ranges
from training.monitoring.results import (
    KINDS,
    InflowSummary,
    MonitorReport,
    ReferenceSummary,
    WindowReport,
    WindowSlice,
)
from training.monitoring.samples import WATCHED, sample_of
from training.monitoring.spec import MonitorSpec
from training.monitoring.stream import Observed, Rows
from training.monitoring.univariate import ColumnReference, column_reference, compare, score_samples
from training.monitoring.windows import Window, cut

MAX_ESTIMATE_ROWS = 50_000
"""Rows by which performance is estimated, and multivariate drift measured: more change no digit that matters."""
SCORE_TESTS = ("ks",)
MIN_SLICE_ROWS = 30


@dataclass(frozen=True)
class Analysis:
    """A monitor's reference, prepared for any number of windows.

    Of the monitor's false alarm rate each kind of finding gets an equal share, so that together they keep to it.
    """

    spec: MonitorSpec
    profile: ReferenceProfile
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def alpha(self) -> float:
        """The rate of false alarms of one kind of finding."""
        return self.spec.false_alarm_rate / len(KINDS)

    @cached_property
    def reference(self) -> Rows:
        """The profile's rows."""
        return Rows(self.profile.schema, self.profile.table, self.profile.actual)

    @cached_property
    def ranges(self) -> list[FeatureRange]:
        """For data quality."""
        return feature_ranges(self.reference)

    @cached_property
    def columns(self) -> list[ColumnReference]:
        """Features whose distribution is compared."""
        found = (
            column_reference(feature.name, self.reference.column(feature.name), feature.kind, self.spec.tests)
            for feature in self.profile.schema.features
            if feature.kind in WATCHED
        )
        return [column for column in found if column is not None]

    @cached_property
    def score_columns(self) -> list[ColumnReference]:
        """The scores as columns."""
        found = (
            column_reference(name, pa.chunked_array([pa.array(self.reference.scores[:, number])]), "numeric", tests)
            for number, name in enumerate(self.score_names)
            for tests in [SCORE_TESTS]
        )
        return [column for column in found if column is not None]

    @cached_property
    def score_names(self) -> list[str]:
        """What the scores are called in the report."""
        schema = self.profile.schema
        return ["prediction"] if schema.task == "regression" else list(schema.classes[-len(schema.score_columns) :])

    @cached_property
    def performance(self) -> PerformanceReference:
        """Metrics and their estimator."""
        return PerformanceReference(self.reference)

    @cached_property
    def multivariate(self) -> MultivariateReference:
        """All features together."""
        return MultivariateReference(self.reference)

    def window(self, observed: Observed, window: Window) -> WindowReport:
        """The report of one window."""
        chosen = window.chosen(self.spec.max_rows_per_window)
        known = int(np.isfinite(observed.actual[window.start_row : window.stop_row]).sum())
        state = "judged" if window.closed else "open"
        if len(window) == 0:
            state = "empty"
        elif len(window) < self.spec.min_rows_per_window:
            state = "too few rows"
        report = WindowReport.model_validate({
            "start": window.start, "end": window.end, "rows": len(window), "analysed": len(chosen), "labelled": known,
            "state": state,
        })  # fmt: skip
        if state in {"empty", "too few rows"}:
            return report
        filled = report.model_copy(update=self._measured(observed.rows(chosen)))
        return filled.model_copy(update={"findings": findings_of(filled)}) if state == "judged" else filled

    def _measured(self, rows: Rows) -> dict[str, object]:
        alpha, few = self.alpha, self._at_most(rows, MAX_ESTIMATE_ROWS)
        with self._timed("quality_s"):
            quality = check_quality(self.ranges, rows, alpha)
        with self._timed("drift_s"):
            kinds = {feature.name: feature.kind for feature in rows.schema.features}
            samples = {c.name: sample_of(rows.column(c.name), kinds[c.name]) for c in self.columns}
            drift = compare(self.columns, samples, alpha)
            prediction = compare(self.score_columns, score_samples(rows.scores, self.score_names), alpha)
        with self._timed("multivariate_s"):
            multivariate = self.multivariate.compare(few, alpha)
        with self._timed("performance_s"):
            known = labelled(rows)
            found = {
                "estimated": self.performance.estimated(few, alpha),
                "realised": self.performance.realised(known, alpha),
                "calibration": self.performance.calibration(known, alpha),
            }
        with self._timed("slices_s"):
            slices = [item for column in self.spec.slices for item in self._slices(few, column)]
        return {
            "quality": quality, "drift": drift, "prediction": prediction, "multivariate": multivariate,
            "attribution": attribute(self.profile.importance, drift), "slices": slices, **found,
        }  # fmt: skip

    def _slices(self, rows: Rows, column: str) -> list[WindowSlice]:
        labels = slice_labels(rows.column(column).to_pandas())
        found = []
        for value in labels.value_counts().index:
            inside = (labels == value).to_numpy()
            part = Rows(rows.schema, rows.table.filter(inside), rows.actual[inside])
            known = labelled(part)
            row = WindowSlice(column=column, value=str(value), rows=len(part), labelled=len(known))
            if len(part) >= MIN_SLICE_ROWS:
                row.estimated = self.performance.estimator.estimate(part, [self.performance.primary])
            if len(known) >= MIN_SLICE_ROWS:
                row.realised = realised_metrics(known, [self.performance.primary])
            found.append(row)
        return found

    def _at_most(self, rows: Rows, limit: int) -> Rows:
        if len(rows) <= limit:
            return rows
        chosen = np.sort(np.random.default_rng(5).choice(len(rows), limit, replace=False))
        return Rows(rows.schema, rows.table.take(pa.array(chosen)), rows.actual[chosen])

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.timings[name] = round(self.timings.get(name, 0.0) + time.perf_counter() - started, 4)


def analyse(
    analysis: Analysis,
    observed: Observed,
    *,
    version: str,
    fingerprint: str,
    now: datetime,
    progress: Callable[[float], None] = lambda _: None,
) -> MonitorReport:
    """The whole report.

    Args:
        analysis: the monitor with its reference.
        observed: the stream of `version`.
        version: that the reference belongs to.
        fingerprint: of the stream.
        now: windows that end later are open.
        progress: hears the share that is done.
    """
    spec, started = analysis.spec, time.perf_counter()
    windows = []
    cuts = cut(observed, spec.window, now)
    for number, window in enumerate(cuts, start=1):
        windows.append(analysis.window(observed, window))
        progress(number / len(cuts))
    estimator = analysis.performance.estimator
    return MonitorReport(
        monitor=spec.name,
        model={"name": spec.model.name, "version": version},
        task=observed.schema.task,
        generated_at=now,
        fingerprint=fingerprint,
        reference=ReferenceSummary(
            rows=len(analysis.profile),
            hold_out_rows=analysis.profile.hold_out_rows,
            metrics=dict(analysis.performance.intervals),
            calibrator=estimator.detail,
            estimator=estimator.name,
        ),
        inflow=InflowSummary.model_validate(_plain(observed)),
        windows=windows,
        notes=_notes(analysis, observed, windows),
        timings=analysis.timings | {"total_s": round(time.perf_counter() - started, 4)},
    )


def _plain(observed: Observed) -> dict[str, object]:
    facts = asdict(observed.inflow)
    return facts | {"conflict_ids": list(facts["conflict_ids"])}


def _notes(analysis: Analysis, observed: Observed, windows: list[WindowReport]) -> list[str]:
    notes = [LIMIT_NOTE]
    inflow, spec = observed.inflow, analysis.spec
    if not windows:
        notes.append("No prediction of this version has come in yet.")
    if any(window.analysed < window.rows for window in windows):
        notes.append(f"Windows of more than {spec.max_rows_per_window:,} rows were sampled evenly.")
    if inflow.unread:
        notes.append(f"{inflow.unread:,} older predictions were not read.")
    if inflow.conflicts or inflow.outcome_conflicts:
        notes.append("Rows that came again with other values under the same id were not used; the first one counts.")
    if inflow.other_versions:
        others = ", ".join(f"{rows:,} of version {version}" for version, rows in inflow.other_versions.items())
        notes.append(f"Predictions of other versions are left out: {others}.")
    if len(analysis.profile) < 1000:
        notes.append(
            f"The reference has only {len(analysis.profile):,} rows: small changes cannot be told from chance."
        )
    return notes
