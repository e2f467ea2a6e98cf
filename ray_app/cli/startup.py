"""The start of everything, live on a terminal and in plain lines elsewhere."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ray_app.cli.output import err, out, shown_time
from ray_app.local import control
from ray_app.local.state import Part, PartName, RunState
from ray_app.settings import Settings

TITLES: dict[PartName, str] = {"ray": "Ray", "service": "API", "mlflow": "MLflow"}
STAY_POLL_S = 1.0


def show_startup(states: Iterator[RunState]) -> RunState:
    """Shows each part with its seconds until the service is ready, and answers the last state."""
    return _live(states) if err.is_terminal else _lines(states)


def tell_addresses(state: RunState, *, ran_already: bool) -> None:
    """Prints where everything is."""
    if ran_already:
        out.print("already running", markup=False)
    for name, part in state.parts.items():
        note = "" if part.status == "running" else "  (still starting)" if name == "mlflow" else f"  ({part.status})"
        title = "Ray dashboard" if name == "ray" else TITLES[name]
        out.print(f"{title:<14} {_address(name, state)}{note}", markup=False)


def part_rows(state: RunState) -> Iterator[tuple[object, ...]]:
    """Rows of `mts status`."""
    from datetime import UTC, datetime

    for name, part in state.parts.items():
        pid = part.process.pid if part.process else None
        since = shown_time(datetime.fromtimestamp(part.since, UTC))
        yield TITLES[name], part.status, _address(name, state), pid, part.restarts, since


@contextmanager
def interruptible() -> Iterator[None]:
    """Treats a request to end, and the end of the terminal, as Ctrl-C."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def stay(settings: Settings) -> None:
    """Returns when the service has been stopped by somebody else."""
    err.print("Ctrl-C stops everything", style="dim")
    while control.current(settings) is not None:
        time.sleep(STAY_POLL_S)


def _live(states: Iterator[RunState]) -> RunState:
    view = _StartupView()
    # refreshed by a thread, so that seconds count on while nothing changes
    with Live(get_renderable=view.render, console=err, refresh_per_second=8, transient=True):
        for state in states:
            view.state = state
    return _complete(view.state)


def _lines(states: Iterator[RunState]) -> RunState:
    last: RunState | None = None
    for state in states:
        for name, part in state.parts.items():
            before = last.parts[name].status if last else None
            if part.status != before and part.status in {"starting", "running"}:
                took = f" after {part.took_s:g} s" if part.took_s is not None else ""
                err.print(f"{TITLES[name]} {part.status}{took}", markup=False)
        last = state
    return _complete(last)


def _complete(state: RunState | None) -> RunState:
    if state is None:
        raise AssertionError("the start ends with a state, or raises")
    return state


class _StartupView:
    def __init__(self) -> None:
        self.state: RunState | None = None
        self._began = time.time()

    def render(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        if self.state is None:
            grid.add_row(Spinner("dots"), "starting", f"{time.time() - self._began:.0f} s")
            return grid
        for name, part in self.state.parts.items():
            grid.add_row(*_cells(name, part))
        return grid


def _cells(name: PartName, part: Part) -> tuple[RenderableType, ...]:
    if part.status == "running":
        return Text("✓", style="green"), TITLES[name], f"{part.took_s or 0:g} s"
    if part.status == "starting":
        again = f" (restart {part.restarts})" if part.restarts else ""
        return Spinner("dots"), TITLES[name] + again, f"{time.time() - part.since:.0f} s"
    return Text("·", style="dim"), Text(TITLES[name], style="dim"), Text(part.status, style="dim")


def _address(name: PartName, state: RunState) -> str:
    return state.dashboard if name == "ray" else state.parts[name].address
