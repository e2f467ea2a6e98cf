"""Prometheus metrics: this process's requests, and the cluster's jobs as the dispatcher counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from starlette.types import Scope

from ray_app.jobs import model
from ray_app.jobs.model import JobStats, MonitorStats

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_BUCKETS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0)
UNKNOWN_ROUTE = "unknown"


class HttpMetrics:
    """Counts requests by route template, never by path: a caller must not be able to make new series.

    Args:
        replica: names the process; replicas are scraped through one address and would else look like one that forgets.
    """

    def __init__(self, replica: str) -> None:
        self._registry = CollectorRegistry()
        self._replica = replica
        labels = ("method", "route", "status", "replica")
        self._requests = Counter("mts_http_requests", "Requests answered.", labels, registry=self._registry)
        self._latency = Histogram(
            "mts_http_request_duration_seconds",
            "Time to the start of the answer; streams and wait_s included.",
            ("method", "route", "replica"),
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        open_now = Gauge("mts_http_requests_open", "Requests being answered.", ("replica",), registry=self._registry)
        self.open_requests = open_now.labels(replica)
        """Streams and waiting requests too: falls again when their clients go away."""

        self._rows = Counter(
            "mts_monitor_rows", "Predictions and outcomes that were kept.", ("monitor", "stream", "replica"),
            registry=self._registry,
        )  # fmt: skip
        self._lag = Histogram(
            "mts_monitor_lag_seconds",
            "From the newest time in a batch to its being kept.",
            ("monitor", "stream", "replica"),
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )

    def received(self, monitor: str, stream: str, rows: int, lag_s: float) -> None:
        """Counts one batch of a monitor. A monitor is made by a trainer, so no caller makes series at will."""
        self._rows.labels(monitor, stream, self._replica).inc(rows)
        self._lag.labels(monitor, stream, self._replica).observe(max(0.0, lag_s))

    def observe(self, scope: Scope, status: int, duration_s: float) -> None:
        """Counts one request."""
        route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
        method = scope["method"] if route != UNKNOWN_ROUTE else "any"
        self._requests.labels(method, route, str(status), self._replica).inc()
        self._latency.labels(method, route, self._replica).observe(duration_s)

    def render(self, stats: JobStats | None) -> bytes:
        """All metrics in the Prometheus text format; without the jobs where the dispatcher is away."""
        jobs = CollectorRegistry()
        jobs.register(_JobCollector(stats))
        return generate_latest(self._registry) + generate_latest(jobs)


class _JobCollector:
    """Turns the dispatcher's counts into gauges at the time of a scrape."""

    def __init__(self, stats: JobStats | None) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        yield _gauge("mts_dispatcher_up", "1 if the dispatcher answers.", float(self._stats is not None))
        if self._stats is None:
            return
        yield _gauge("mts_jobs", "Jobs by status.", self._stats.by_status)
        yield _gauge("mts_jobs_released", "Jobs handed to Ray and not yet over.", self._stats.released)
        yield _gauge("mts_warm_workers", "Worker processes that begin without imports.", self._stats.warm_workers)
        oldest_s = self._stats.oldest_pending_s or 0.0
        yield _gauge("mts_oldest_pending_seconds", "Age of the oldest job that waits; 0 if none does.", oldest_s)
        yield from _monitors(self._stats.monitors)
        for name, histogram in self._stats.histograms.items():
            yield _histogram(f"mts_job_{name.removesuffix('_s')}_seconds", histogram)


def _gauge(name: str, words: str, value: float | Mapping[str, float]) -> GaugeMetricFamily:
    if isinstance(value, Mapping):
        by_status = GaugeMetricFamily(name, words, labels=["status"])
        for status, count in value.items():
            by_status.add_metric([status], count)
        return by_status
    return GaugeMetricFamily(name, words, value=value)


def _monitors(found: Sequence[MonitorStats]) -> Iterable[Metric]:
    alarms = GaugeMetricFamily("mts_monitor_alarms", "Alarms of a monitor.", labels=["monitor", "severity"])
    windows = GaugeMetricFamily("mts_monitor_windows", "Windows of its newest check.", labels=["monitor", "state"])
    checked = GaugeMetricFamily("mts_monitor_checked_timestamp_seconds", "Its newest check.", labels=["monitor"])
    for stats in found:
        for severity in ("warning", "critical"):
            alarms.add_metric([stats.monitor, severity], stats.alarms.get(severity, 0))
        for state, count in stats.windows.items():
            windows.add_metric([stats.monitor, state], count)
        if stats.checked_at is not None:
            checked.add_metric([stats.monitor], stats.checked_at.timestamp())
    return [alarms, windows, checked]


def _histogram(name: str, found: model.Histogram) -> HistogramMetricFamily:
    bounds = [*(str(bound) for bound in found.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(found.counts), strict=True))
    return HistogramMetricFamily(name, "Since the dispatcher started.", buckets=buckets, sum_value=found.sum)
