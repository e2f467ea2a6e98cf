"""Figures of jobs: for Ray's own metrics, and for `GET /metrics`."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from ray.util import metrics as ray_metrics

from ray_app.jobs.model import Histogram, Job, JobStatus

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)


@dataclass
class Tally:
    """A histogram that can be asked for, beside the one that Ray exports."""

    exported: ray_metrics.Histogram
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total: float = 0.0

    def observe(self, value_s: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS_S, value_s)] += 1
        self.total += value_s
        self.exported.observe(value_s)

    def histogram(self) -> Histogram:
        """As the API shows it."""
        return Histogram(bounds=list(BOUNDS_S), counts=list(self.counts), sum=self.total)


class JobMetrics:
    """Counts since the dispatcher started. Used by one thread."""

    def __init__(self) -> None:
        self._finished = ray_metrics.Counter("mts_jobs_finished", "Jobs that ended", tag_keys=("status", "kind"))
        self._jobs = ray_metrics.Gauge("mts_jobs", "Jobs in each status", tag_keys=("status",))
        self._speed = ray_metrics.Gauge("mts_fit_rows_per_second", "Training rows per second of fit", ("name",))
        self._tallies = {
            "queue_s": _tally("mts_queue_seconds", "From submission to the start of the first attempt"),
            "fit_s": _tally("mts_fit_seconds", "Time of the fit of successful jobs"),
        }

    def changed(self, job: Job) -> None:
        """A job has changed its state."""
        if job.status is JobStatus.RUNNING and job.attempt == 1 and job.started_at:
            self._tallies["queue_s"].observe((job.started_at - job.created_at).total_seconds())
        if job.status.final:
            self._finished.inc(tags={"status": job.status.value, "kind": job.kind})
            fit_s = (job.result or {}).get("timings", {}).get("fit_s")
            if fit_s is not None:
                self._tallies["fit_s"].observe(fit_s)
            rows = (job.result or {}).get("data", {}).get("train_rows")
            if fit_s and rows:
                self._speed.set(rows / fit_s, tags={"name": job.name})

    def counted(self, by_status: dict[str, int]) -> None:
        """The present counts."""
        for status, count in by_status.items():
            self._jobs.set(count, tags={"status": status})

    def histograms(self) -> dict[str, Histogram]:
        """By name."""
        return {name: tally.histogram() for name, tally in self._tallies.items()}


def _tally(name: str, description: str) -> Tally:
    return Tally(ray_metrics.Histogram(name, description, boundaries=list(BOUNDS_S)))
