"""Plots over time as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import numpy as np

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 40, 10, 30
"""Margins. The left one holds the numbers of the axis also where a phone shows them larger."""
MAX_LABELS = 4


@dataclass(frozen=True)
class Line:
    """A curve: its name, one value for each window (None where there is none), and its class for the style sheet.
    `band`: low and high around each value."""

    name: str
    values: Sequence[float | None]
    style: str
    band: Sequence[tuple[float, float] | None] = ()


def plot(labels: Sequence[str], lines: Sequence[Line], alarms: Sequence[bool], *, bounds: Sequence[float] = ()) -> str:
    """A plot of several curves over the windows.

    Args:
        labels: [n] of the windows.
        lines: curves with n values.
        alarms: [n] windows that are marked.
        bounds: further values that the vertical axis must reach.
    """
    values = [value for line in lines for value in line.values if value is not None] + list(bounds)
    if not values or not labels:
        return '<p class="none">nothing to plot yet</p>'
    values += [value for line in lines for pair in line.band if pair is not None for value in pair]
    scale = _Scale(len(labels), ticks(min(values), max(values)))
    names = escape(", ".join(line.name for line in lines))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{names}">',
        *(_mark(scale, number) for number, alarm in enumerate(alarms) if alarm),
        _axes(scale, labels),
        *(_band(scale, line) for line in lines),
        *(_curve(scale, line) for line in lines),
        "</svg>",
        '<p class="legend">',
        *(f'<span class="{line.style}">{escape(line.name)}</span> ' for line in lines),
        '<span class="mark">alarm</span>' if any(alarms) else "",
        "</p>",
    ]
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers, evenly spaced, from at most `low` to at least `high`."""
    span = (high - low) or abs(high) or 1.0
    rough = span / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    if last - first < 2:
        last = first + 2
    return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class _Scale:
    count: int
    ticks: Sequence[float]

    @property
    def step(self) -> float:
        """From one window to the next."""
        return (WIDTH - LEFT - RIGHT) / max(1, self.count - 1)

    def x(self, number: float) -> float:
        return LEFT + number * self.step if self.count > 1 else (WIDTH + LEFT - RIGHT) / 2

    def y(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale, labels: Sequence[str]) -> str:
    marks = []
    for value in scale.ticks:
        y = scale.y(value)
        marks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>')
    step = max(1, -(-len(labels) // MAX_LABELS))
    marks += [_label(scale, number, labels[number]) for number in range(0, len(labels), step)]
    return "".join(marks)


def _label(scale: _Scale, number: int, text: str) -> str:
    """Below its window; that of the last one ends with the plot, for on a phone it is wider than the margin."""
    is_last = 0 < number == scale.count - 1
    x, anchor = (float(WIDTH), "end") if is_last else (scale.x(number), "middle")
    return f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(scale: _Scale, number: int) -> str:
    half = max(3.0, scale.step / 2) if scale.count > 1 else 20.0
    left, right = max(float(LEFT), scale.x(number) - half), min(WIDTH - 8.0, scale.x(number) + half)
    return f'<rect class="alarm" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'


def _band(scale: _Scale, line: Line) -> str:
    pieces = []
    for there, group in groupby(enumerate(line.band), key=lambda item: item[1] is not None):
        run = [(number, pair) for number, pair in group if pair is not None] if there else []
        if run:
            upper = [f"{scale.x(number):.1f},{scale.y(pair[1]):.1f}" for number, pair in run]
            lower = [f"{scale.x(number):.1f},{scale.y(pair[0]):.1f}" for number, pair in reversed(run)]
            pieces.append(f'<polygon points="{" ".join(upper + lower)}"/>')
    return f'<g class="{line.style}">{"".join(pieces)}</g>' if pieces else ""


def _curve(scale: _Scale, line: Line) -> str:
    """A gap in the values is a gap in the curve."""
    pieces = []
    for there, group in groupby(enumerate(line.values), key=lambda item: item[1] is not None):
        run = [(scale.x(number), scale.y(value)) for number, value in group if value is not None] if there else []
        if run:
            pieces.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in run)}"/>')
        if line.style != "bound":
            pieces += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in run]
    return f'<g class="{line.style}">{"".join(pieces)}</g>'
