"""Plots over time as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 640, 180, 44
MAX_LABELS = 4


@dataclass(frozen=True)
class Line:
    """A curve: its name, one value for each window (None where there is none), and its class for the style sheet."""

    name: str
    values: Sequence[float | None]
    style: str


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
    low, high = min(values), max(values)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    scale = _Scale(len(labels), low - pad, high + pad)
    names = escape(", ".join(line.name for line in lines))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{names}">',
        _axes(scale, labels),
        *(_band(scale, number) for number, alarm in enumerate(alarms) if alarm),
        *(_curve(scale, line) for line in lines),
        "</svg>",
        '<p class="legend">',
        *(f'<span class="{line.style}">{escape(line.name)}</span> ' for line in lines),
        "</p>",
    ]
    return "".join(parts)


@dataclass(frozen=True)
class _Scale:
    count: int
    low: float
    high: float

    def x(self, number: float) -> float:
        step = (WIDTH - 2 * MARGIN) / max(1, self.count - 1)
        return MARGIN + number * step if self.count > 1 else WIDTH / 2

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - 24 - share * (HEIGHT - 36)


def _axes(scale: _Scale, labels: Sequence[str]) -> str:
    marks = []
    for value in (scale.low, (scale.low + scale.high) / 2, scale.high):
        y = scale.y(value)
        marks.append(f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{MARGIN - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    step = max(1, -(-len(labels) // MAX_LABELS))
    marks += [
        f'<text x="{scale.x(number):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(labels[number])}</text>'
        for number in range(0, len(labels), step)
    ]
    return "".join(marks)


def _band(scale: _Scale, number: int) -> str:
    half = max(3.0, (WIDTH - 2 * MARGIN) / max(1, scale.count - 1) / 2) if scale.count > 1 else 20.0
    return f'<rect class="alarm" x="{scale.x(number) - half:.1f}" y="8" width="{2 * half:.1f}" height="{HEIGHT - 32}"/>'


def _curve(scale: _Scale, line: Line) -> str:
    points = [(scale.x(n), scale.y(value)) for n, value in enumerate(line.values) if value is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "" if line.style == "bound" else "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)
    return f'<g class="{line.style}"><polyline points="{path}"/>{dots}</g>'
