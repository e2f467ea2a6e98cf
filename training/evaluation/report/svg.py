"""Small plots as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

WIDTH, HEIGHT = 380.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 10.0, 40.0
CHAR_WIDTH = 6.2
"""About the width of a character of a label, to cut labels that would not fit."""


@dataclass
class Plot:
    """Axes with a linear scale, and what is drawn on them. Colours are classes of the page's style sheet.

    `x`, `y`: least and greatest value of each axis. `title` is read aloud by screen readers.
    """

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str
    height: float = HEIGHT
    parts: list[str] = field(default_factory=list)

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str = "s1") -> None:
        """A line through the points."""
        points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(f'<polyline class="line {style}" points="{points}"/>')

    def dots(self, xs: Sequence[float], ys: Sequence[float], style: str = "s1", radius: float = 3.0) -> None:
        """A dot at each point."""
        self.parts.extend(
            f'<circle class="dot {style}" cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="{radius:g}"/>'
            for x, y in zip(xs, ys, strict=True)
        )

    def whisker(self, x: float, low: float, high: float, style: str = "s1") -> None:
        """A vertical interval."""
        self.parts.append(
            f'<line class="whisker {style}" x1="{self._x(x):.1f}" x2="{self._x(x):.1f}" '
            f'y1="{self._y(low):.1f}" y2="{self._y(high):.1f}"/>'
        )

    def bar(self, left: float, right: float, bottom: float, top: float, style: str = "s1") -> None:
        """A filled rectangle."""
        x, y = self._x(left), self._y(max(bottom, top))
        width, height = max(0.6, self._x(right) - x - 0.8), abs(self._y(bottom) - self._y(top))
        self.parts.append(
            f'<rect class="bar {style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        )

    def mark_x(self, x: float, label: str) -> None:
        """A dashed line at a value of x, named."""
        at = self._x(x)
        anchor, shift = ("end", -4) if at > WIDTH * 0.7 else ("start", 4)
        self.parts.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
            f'<text class="note" x="{at + shift:.1f}" y="{TOP + 10}" text-anchor="{anchor}">{escape(label)}</text>'
        )

    def mark_y(self, y: float) -> None:
        """A dashed line at a value of y."""
        at = self._y(y)
        self.parts.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')

    def draw(self) -> Markup:
        """The SVG element."""
        return drawing(self.title, self.height, [*self._axes(), *self.parts])

    def _axes(self) -> list[str]:
        drawn = []
        bottom = self.height - BOTTOM
        for value in ticks(*self.x):
            at = self._x(value)
            drawn.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
            drawn.append(f'<text x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">{number(value)}</text>')
        for value in ticks(*self.y):
            at = self._y(value)
            drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            drawn.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(value)}</text>')
        middle = (TOP + bottom) / 2
        drawn.append(
            f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{self.height - 6}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
        )
        drawn.append(
            f'<text class="axis" transform="rotate(-90 12 {middle})" x="12" y="{middle}" text-anchor="middle">'
            f"{escape(self.y_label)}</text>"
        )
        return drawn

    def _x(self, value: float) -> float:
        low, high = self.x
        return LEFT + (value - low) / ((high - low) or 1.0) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        low, high = self.y
        return self.height - BOTTOM - (value - low) / ((high - low) or 1.0) * (self.height - TOP - BOTTOM)


def bars(title: str, rows: Sequence[tuple[str, float, float | None]], *, whole: bool = False) -> Markup:
    """Horizontal bars, one for each (label, value, half width of a whisker); values may be negative.

    Args:
        title: for screen readers.
        rows: from the top.
        whole: values are counts.
    """
    row_height, label_width, value_width = 22.0, 158.0, 52.0
    height = row_height * len(rows) + 8
    low = min([0.0, *(value - (spread or 0.0) for _, value, spread in rows)])
    high = max([0.0, *(value + (spread or 0.0) for _, value, spread in rows)]) or 1.0
    scale = (WIDTH - label_width - value_width) / (high - low)
    zero = label_width - low * scale
    drawn = []
    for position, (label, value, spread) in enumerate(rows):
        y = 4 + position * row_height
        start, end = sorted((zero, zero + value * scale))
        sign = "s1" if value >= 0 else "s2"
        shown = f"{value:,.0f}" if whole else number(value)
        drawn.append(f'<text x="{label_width - 6}" y="{y + 15}" text-anchor="end"><title>{escape(label)}</title>'
                     f"{escape(cut(label, label_width - 10))}</text>")  # fmt: skip
        drawn.append(f'<rect class="bar {sign}" x="{start:.1f}" y="{y + 4}" '
                     f'width="{max(0.8, end - start):.1f}" height="{row_height - 8}"/>')  # fmt: skip
        if spread:
            left, right = zero + (value - spread) * scale, zero + (value + spread) * scale
            drawn.append(f'<line class="whisker" x1="{left:.1f}" x2="{right:.1f}" y1="{y + 11}" y2="{y + 11}"/>')
        drawn.append(f'<text x="{WIDTH - 2}" y="{y + 15}" text-anchor="end">{shown}</text>')
    return drawing(title, height, drawn)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values between two bounds."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    scale = 10.0 ** math.floor(math.log10(raw))
    step = scale * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * scale >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def number(value: float) -> str:
    """A number in a few characters."""
    size = abs(value)
    if size < 1e-9:
        return "0"
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            unit = 1e3 if letter == "k" else limit
            return f"{value / unit:.3g}{letter}"
    if size < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.4g}" if size >= 1 else f"{value:.3g}"


def cut(label: str, width: float) -> str:
    """A label that fits into so many units of width."""
    most = int(width / CHAR_WIDTH)
    return label if len(label) <= most else label[: most - 1] + "…"


def drawing(title: str, height: float, parts: Sequence[str], *, width: float = WIDTH) -> Markup:
    """The SVG element of parts whose texts are escaped."""
    body = "".join(parts)
    return Markup(  # noqa: S704 - every text in it was escaped where it was put in
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )
