"""A job in the terminal: phases, a progress bar, live metrics, the result as a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from training.events import PHASES, Phase
from training.result import Interval, TrainResult

MAX_LIVE_METRICS = 3


class TerminalObserver:
    """Shows a running pipeline: a live bar on a terminal, plain lines where the output is a file or a pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(), TaskProgressColumn(),
            TimeElapsedColumn(), TextColumn("{task.fields[metrics]}"), console=console, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("start", total=1.0, metrics="")
        self._waits_for = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def phase(self, phase: Phase) -> None:
        """Starts the bar of a phase anew."""
        if self._console.is_terminal:
            self._bar.reset(self._task, total=1.0, description=phase, metrics="")
        else:
            self._console.print(f"phase {phase} ({PHASES.index(phase) + 1} of {len(PHASES)})", highlight=False)

    def progress(self, fraction: float, eta_s: float | None = None) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=fraction)

    def waiting(self, message: str) -> None:
        """Prints it once."""
        if message != self._waits_for:
            self._waits_for = message
            if message:
                self.log(message)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Shows the newest figures beside the bar."""
        shown = ", ".join(f"{name} {value:.4f}" for name, value in list(values.items())[:MAX_LIVE_METRICS])
        self._bar.update(self._task, metrics=shown)

    def log(self, message: str) -> None:
        """Prints a line above the bar."""
        self._console.print(message, highlight=False, markup=False)


def shown_interval(interval: Interval) -> str:
    """A metric with its interval, such as `0.7912  [0.7285, 0.8494]`."""
    if interval.value is None:
        return "not defined"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.4f}"
    return f"{interval.value:.4f}  [{interval.low:.4f}, {interval.high:.4f}]"


def result_table(result: TrainResult) -> RenderableType:
    """The result as people want to see it: metrics with intervals, the verdict of the gate, where the time went."""
    table = Table(title=f"{result.model.name} version {result.model.version}", title_justify="left")
    table.add_column("metric (hold-out)")
    table.add_column("value  [interval]")
    crossed = result.cross_validation
    if crossed is not None:
        table.add_column(
            f"cross-validation, {sum(row.error is None for row in crossed.rows)} of {len(crossed.rows)} folds"
        )
    for name, interval in result.metrics.items():
        marker = " (primary)" if name == result.primary_metric else ""
        folds = [] if crossed is None else [shown_interval(crossed.metrics.get(name, Interval(value=None)))]
        table.add_row(f"{name}{marker}", shown_interval(interval), *folds)
    lines = [Text(f"gate: {result.gate.decision}: {'; '.join(result.gate.reasons)}")]
    data = result.data
    lines.append(Text(f"rows: {data.train_rows} train, {data.validation_rows} validation, {data.test_rows} test"))
    lines.append(Text("time: " + ", ".join(f"{name[:-2]} {value:.2f} s" for name, value in result.timings.items())))
    lines.append(Text(f"model: {result.model.uri}"))
    return Group(table, *lines)
