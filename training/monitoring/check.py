"""One check of a monitor: the report, written where the API finds it, and the alarms that it holds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from training.monitoring.analyse import Analysis, analyse
from training.monitoring.compaction import compact
from training.monitoring.page import render_page
from training.monitoring.profile import ReferenceProfile
from training.monitoring.results import CheckResult, MonitorReport
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe

SECOND_US = 1_000_000


@dataclass(frozen=True)
class Watched:
    """A version under watch: its stream and what it is compared with."""

    spec: MonitorSpec
    store: StreamStore
    profile: ReferenceProfile
    version: str


def report_key(spec: MonitorSpec, version: str, fingerprint: str, now: datetime) -> str:
    """Names a report: equal as long as neither the monitor, the version, the stream nor the closed windows change.

    Args:
        spec: the monitor.
        version: the watched one.
        fingerprint: of the stream.
        now: the present; windows of time close as it goes on.
    """
    closed = 0 if spec.window.rows else int(now.timestamp() // spec.window.length_s)
    facts = [spec.model_dump(mode="json"), version, fingerprint, closed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def report_path(version: str, suffix: str) -> str:
    """Where the newest report of a version is, below the monitor's folder."""
    return f"reports/{version}.{suffix}"


def read_report(store: StreamStore, version: str) -> MonitorReport | None:
    """The newest report of a version; None where there is none that we can read."""
    body = store.read_file(report_path(version, "json"))
    return None if body is None else MonitorReport.model_validate_json(body)


def check(watched: Watched, now: datetime, progress: Callable[[float], None] = lambda _: None) -> CheckResult:
    """Prunes and compacts the stream, analyses it and writes the report as JSON and as a page.

    Raises:
        UnavailableError: the storage does not answer.
    """
    started, spec, store = time.perf_counter(), watched.spec, watched.store
    if spec.retention_s is not None:
        store.prune(int((now.timestamp() - spec.retention_s) * SECOND_US))
    compact(store, now)
    key = report_key(spec, watched.version, store.fingerprint(), now)
    read_started = time.perf_counter()
    observed = observe(store, watched.profile.schema, watched.version)
    read_s = time.perf_counter() - read_started
    report = analyse(
        Analysis(spec, watched.profile), observed, version=watched.version, fingerprint=key, now=now, progress=progress
    )
    store.write(report_path(watched.version, "html"), render_page(report).encode())
    # last: whoever finds it finds the page too
    store.write(report_path(watched.version, "json"), report.model_dump_json().encode())
    return CheckResult(
        monitor=spec.name,
        model=report.model,
        fingerprint=key,
        windows=len(report.windows),
        alarms=[
            {"window_start": window.start.isoformat(), "window_end": window.end.isoformat(), **finding.model_dump()}
            for window in report.windows
            for finding in window.findings
        ],
        links={"report": f"/api/v1/monitors/{spec.name}/report"},
        timings={"read_s": round(read_s, 4), "total_s": round(time.perf_counter() - started, 4)},
    )
