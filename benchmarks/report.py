"""Rows of the benchmark table: a figure of ours beside the baseline that was measured in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """`ours` and `baseline` in `unit`; the goal is an upper bound of ours / baseline, or of ours where alone."""

    name: str
    ours: float
    baseline: float | None
    unit: str
    goal: float
    note: str = ""

    @property
    def figure(self) -> float:
        """What the goal bounds."""
        return self.ours if self.baseline is None else self.ours / self.baseline

    @property
    def reached(self) -> bool:
        """Whether the figure is within the goal."""
        return self.figure <= self.goal


def show(rows: Sequence[Row]) -> None:
    """Prints the table."""
    table = Table("measure", "ours", "baseline", "figure", "goal (at most)", "", "note")
    for row in rows:
        baseline = "" if row.baseline is None else f"{row.baseline:.3f} {row.unit}"
        figure = f"{row.figure:.3f}" + ("" if row.baseline is None else " x")
        verdict = "reached" if row.reached else "MISSED"
        table.add_row(row.name, f"{row.ours:.3f} {row.unit}", baseline, figure, f"{row.goal:g}", verdict, row.note)
    Console(width=170).print(table)


def timed_s(work: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_s(work: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of several calls."""
    return statistics.median(timed_s(work) for _ in range(repeats))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
