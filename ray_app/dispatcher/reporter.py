"""The observer inside a worker: collects what the pipeline says and reports it in batches, off the path of the fit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ray_app.dispatcher.messages import Report
from ray_app.jobs.model import EventType, Progress
from training.errors import JobCancelledError, UnavailableError
from training.events import Phase

logger = logging.getLogger(__name__)

MIN_INTERVAL_S = 0.2
"""Between two reports, phases apart: five a second look live."""
MAX_INTERVAL_S = 2.0
"""Of a job that has run for long: its events stay a list that one can page through."""
SLOWDOWN = 150
"""A job that has run for t seconds reports every t / SLOWDOWN, within the bounds above."""
MAX_LINES = 10_000
"""Log lines kept between two reports; what a loop writes beyond that is counted and dropped."""


class Reporter:
    """Implements training.events.Observer. The pipeline's thread only appends to lists; a thread of ours sends.

    Progress and metrics between two reports are merged: the last value counts. Phases and log lines are all kept, in
    order, and a phase is sent at once.

    Args:
        send: delivers a report and says whether the attempt is to go on. Called from one thread, one call at a time.
            UnavailableError means that the report was not delivered; it is kept and sent again with the next one.
    """

    def __init__(self, send: Callable[[Report], bool]) -> None:
        self._send = send
        self._stop_asked = threading.Event()
        self._wake = threading.Condition()
        self._urgent = False
        self._closing = False
        self._progress = Progress(phase="load")
        self._events: list[tuple[EventType, dict[str, Any]]] = []
        self._mergeable: dict[EventType, int] = {}
        self._lines: list[str] = []
        self._dropped_lines = 0
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """The next call of `progress` raises JobCancelledError."""
        self._stop_asked.set()

    @property
    def stop_asked(self) -> bool:
        """Whether the attempt has been asked to stop."""
        return self._stop_asked.is_set()

    def phase(self, phase: Phase) -> None:
        """A phase begins."""
        with self._wake:
            self._progress = Progress(phase=phase, metrics=self._progress.metrics)
            self._events.append(("phase", {"phase": phase}))
            self._mergeable.clear()
            self._urgent = True
            self._wake.notify()

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Share of the present phase that is done."""
        if self._stop_asked.is_set():
            raise JobCancelledError("the job was asked to stop")
        with self._wake:
            self._progress = self._progress.model_copy(update={"fraction": fraction, "eta_s": eta_s, "message": None})
            self._merge("progress", {"phase": self._progress.phase, "fraction": fraction, "eta_s": eta_s})

    def waiting(self, message: str) -> None:
        """What the job waits for; it is told once, however often it is said."""
        if self._stop_asked.is_set():
            raise JobCancelledError("the job was asked to stop")
        with self._wake:
            if (self._progress.message or "") != message:
                self._progress = self._progress.model_copy(update={"message": message or None})
                self._merge("progress", self._progress.model_dump(include={"phase", "fraction", "eta_s", "message"}))

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Figures of the running fit."""
        with self._wake:
            metrics = self._progress.metrics | dict(values)
            self._progress = self._progress.model_copy(update={"metrics": metrics})
            self._merge("metrics", {"step": step, "metrics": metrics})

    def log(self, message: str) -> None:
        """A line for people."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._wake:
            if len(self._lines) < MAX_LINES:
                self._lines.append(f"{stamp} {message}\n")
            else:
                self._dropped_lines += 1
            self._wake.notify()

    def close(self) -> Report:
        """Ends the thread; what was not sent yet is the last report, to go with the outcome."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        return self._take()

    def _merge(self, kind: EventType, data: dict[str, Any]) -> None:
        index = self._mergeable.get(kind)
        if index is None:
            self._mergeable[kind] = len(self._events)
            self._events.append((kind, data))
        else:
            self._events[index] = (kind, data)
        self._wake.notify()

    def _take(self) -> Report:
        if self._dropped_lines:
            self._lines.append(f"({self._dropped_lines} more lines in a short time were dropped)\n")
        report = Report(self._progress, tuple(self._events), "".join(self._lines))
        self._events, self._lines, self._dropped_lines, self._urgent = [], [], 0, False
        self._mergeable.clear()
        return report

    def _give_back(self, report: Report) -> None:
        self._events[:0] = report.events
        self._lines[:0] = report.log.splitlines(keepends=True)
        self._mergeable.clear()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._events or self._lines or self._closing)
                if not self._urgent and not self._closing:
                    self._wake.wait_for(lambda: self._urgent or self._closing, timeout=self._interval_s())
                if self._closing:
                    return
                report = self._take()
            self._deliver(report)

    def _deliver(self, report: Report) -> None:
        try:
            goes_on = self._send(report)
        except UnavailableError as error:
            logger.warning("report kept for later: %s", error)
            with self._wake:
                self._give_back(report)
                # not urgent any more: an unreachable dispatcher is asked at the usual pace
                self._urgent = False
        else:
            if not goes_on:
                self.ask_to_stop()

    def _interval_s(self) -> float:
        ran_s = time.monotonic() - self._started
        return min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, ran_s / SLOWDOWN))
