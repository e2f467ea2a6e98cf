"""What the dispatcher counted, in the Prometheus text format."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from ray_app.api.telemetry import HttpMetrics
from ray_app.jobs.model import Histogram, JobStats, MonitorStats


def test_durations_become_cumulative_buckets() -> None:
    stats = JobStats(
        by_status={"PENDING": 2},
        oldest_pending_s=1.5,
        released=3,
        warm_workers=4,
        histograms={"queue_s": Histogram(bounds=[0.1, 1.0], counts=[5, 2, 1], sum=9.5)},
    )
    samples = {
        (sample.name, sample.labels.get("le") or sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(HttpMetrics("r").render(stats).decode())
        for sample in family.samples
    }
    assert samples["mts_job_queue_seconds_bucket", "0.1"] == 5
    assert samples["mts_job_queue_seconds_bucket", "1.0"] == 7
    assert samples["mts_job_queue_seconds_bucket", "+Inf"] == 8
    assert samples["mts_job_queue_seconds_count", None] == 8
    assert samples["mts_job_queue_seconds_sum", None] == 9.5
    assert samples["mts_jobs", "PENDING"] == 2
    assert samples["mts_oldest_pending_seconds", None] == 1.5
    assert samples["mts_jobs_released", None] == 3
    assert samples["mts_warm_workers", None] == 4


def test_monitors_have_alarms_windows_and_the_time_of_their_newest_check() -> None:
    checked_at = datetime(2026, 1, 1, tzinfo=UTC)
    known = MonitorStats(monitor="a", alarms={"critical": 2}, windows={"quiet": 8, "alarmed": 1}, checked_at=checked_at)
    stats = JobStats(by_status={}, monitors=[known, MonitorStats(monitor="b")])
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(HttpMetrics("r").render(stats).decode())
        for sample in family.samples
        if "monitor" in sample.labels
    }
    assert samples == {
        ("mts_monitor_alarms", "a", "warning"): 0, ("mts_monitor_alarms", "a", "critical"): 2,
        ("mts_monitor_alarms", "b", "warning"): 0, ("mts_monitor_alarms", "b", "critical"): 0,
        ("mts_monitor_windows", "a", "quiet"): 8, ("mts_monitor_windows", "a", "alarmed"): 1,
        ("mts_monitor_checked_timestamp_seconds", "a"): checked_at.timestamp(),
    }  # fmt: skip
