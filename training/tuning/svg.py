"""Plots as SVG text, without a library and without scripts: they show in any page that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 40
FULL, FAINT, WARM = "#1f5f8b", "#b8c4ce", "#c2571a"

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; the middle where all values are one."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """Over all values."""
        return cls(min(values), max(values), start, end)


def scales(points: Sequence[Point]) -> tuple[Scale, Scale]:
    """Of a plot with these points: across, and upwards."""
    across = Scale.of([x for x, _ in points], LEFT, WIDTH - RIGHT)
    return across, Scale.of([y for _, y in points], HEIGHT - BOTTOM, TOP)


def figure(title: str, body: Sequence[str], *, height: float = HEIGHT) -> str:
    """A plot with its title; the title is also what a screen reader says."""
    label, shapes = escape(title, quote=True), "".join(body)
    return (
        f'<figure><figcaption>{label}</figcaption><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{label}" font-family="sans-serif" font-size="11">{shapes}</svg></figure>'
    )


def line(points: Sequence[Point], colour: str, *, width: float = 1.5, steps: bool = False) -> str:
    """A line through pixels; with `steps` each value holds until the next."""
    path = [points[0]]
    for x, y in points[1:]:
        path += [(x, path[-1][1]), (x, y)] if steps else [(x, y)]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def dot(at: Point, colour: str, tip: str, *, radius: float = 3.0) -> str:
    """A point that says more when the pointer is over it."""
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius}" fill="{colour}"><title>{escape(tip)}</title></circle>'
    )


def text(at: Point, shown: str, anchor: str = "middle") -> str:
    """A label."""
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="#333">{escape(shown)}</text>'


def bar(at: Point, width: float, height: float, colour: str) -> str:
    """A filled rectangle."""
    return (
        f'<rect x="{at[0]:.1f}" y="{at[1]:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def axes(across: Scale, upwards: Scale, x_label: str, y_label: str) -> list[str]:
    """The ends of both axes and their names."""
    floor = HEIGHT - BOTTOM
    return [
        line([(LEFT, TOP), (LEFT, floor), (WIDTH - RIGHT, floor)], "#888", width=1.0),
        text((LEFT - 6, upwards(upwards.high) + 4), f"{upwards.high:.4g}", "end"),
        text((LEFT - 6, upwards(upwards.low) + 4), f"{upwards.low:.4g}", "end"),
        text((across(across.low), floor + 16), f"{across.low:.4g}"),
        text((across(across.high), floor + 16), f"{across.high:.4g}"),
        text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8), x_label),
        text((LEFT, TOP - 6), y_label, "start"),
    ]
