"""What reaches the dispatcher of what a pipeline says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime

import pytest

from ray_app.dispatcher.messages import Report
from ray_app.dispatcher.reporter import MAX_LINES, Reporter
from training.errors import JobCancelledError, UnavailableError


class Line:
    """Where reports go. It can be cut, and it can hold a report until it is told to deliver."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.answer = True
        self.cut = False
        self.arrived = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    def send(self, report: Report) -> bool:
        self.open.wait(10)
        if self.cut:
            self.arrived.release()
            raise UnavailableError("cut")
        self.reports.append(report)
        self.arrived.release()
        return self.answer

    def wait(self) -> None:
        assert self.arrived.acquire(timeout=10)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def reporter(line: Line) -> Iterator[Reporter]:
    made = Reporter(line.send)
    yield made
    line.open.set()
    made.close()


def test_a_phase_is_told_at_once_and_the_rest_in_one_batch(reporter: Reporter, line: Line) -> None:
    line.open.clear()
    reporter.phase("fit")
    for step in range(100):
        reporter.metrics({"validation/log_loss": 1.0 - step / 100}, step)
        reporter.progress((step + 1) / 100, eta_s=1.0)
    reporter.log("a line")
    reporter.phase("evaluate")
    line.open.set()
    last = reporter.close()
    events = [event for report in [*line.reports, last] for event in report.events]
    assert [kind for kind, _ in events] == ["phase", "metrics", "progress", "phase"]
    assert events[1][1] == {"step": 99, "metrics": {"validation/log_loss": pytest.approx(0.01)}}
    assert events[2][1] == {"phase": "fit", "fraction": 1.0, "eta_s": 1.0}
    assert last.progress.phase == "evaluate"
    assert last.progress.metrics == {"validation/log_loss": pytest.approx(0.01)}


def test_lines_carry_their_time(reporter: Reporter, line: Line) -> None:
    reporter.log("first")
    reporter.log("second")
    text = "".join(report.log for report in [reporter.close(), *line.reports])
    stamps, messages = zip(*(part.split(" ", 1) for part in text.splitlines()), strict=True)
    assert messages == ("first", "second")
    assert all(datetime.fromisoformat(stamp).tzinfo is not None for stamp in stamps)


def test_a_job_learns_that_it_is_to_stop(reporter: Reporter, line: Line) -> None:
    line.answer = False
    reporter.progress(0.1)
    line.wait()
    reporter.close()
    with pytest.raises(JobCancelledError):
        reporter.progress(0.2)


def test_a_job_can_be_told_to_stop_without_a_report(reporter: Reporter) -> None:
    reporter.ask_to_stop()
    with pytest.raises(JobCancelledError):
        reporter.progress(0.2)


def test_what_could_not_be_told_is_told_later_in_order(reporter: Reporter, line: Line) -> None:
    line.cut = True
    reporter.phase("load")
    reporter.log("one")
    line.wait()
    line.cut = False
    reporter.phase("check")
    reporter.log("two")
    last = reporter.close()
    told = [*line.reports, last]
    assert [data["phase"] for report in told for _, data in report.events] == ["load", "check"]
    text = "".join(report.log for report in told)
    assert [part.partition("Z ")[2] for part in text.splitlines()] == ["one", "two"]


def test_a_loop_that_logs_cannot_fill_the_memory(reporter: Reporter, line: Line) -> None:
    line.open.clear()
    reporter.phase("fit")
    for number in range(2 * MAX_LINES + 7):
        reporter.log(str(number))
    line.open.set()
    last = reporter.close()
    text = "".join(report.log for report in [*line.reports, last])
    # up to two batches: one may have been on its way before the line was held up
    assert text.count("\n") <= 2 * MAX_LINES + 2
    assert "more lines in a short time were dropped" in text
