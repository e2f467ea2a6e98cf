"""Parallel coordinates: an axis for each parameter, a line for each trial (Inselberg 1985, doi:10.1007/BF01898350)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from markupsafe import Markup, escape

from training.evaluation.report.svg import cut, drawing, number

WIDTH, HEIGHT = 1080.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 70.0, 70.0, 46.0, 24.0
LOG_FROM = 50.0
"""Greatest over least value from which on an axis shows orders of magnitude."""
MAX_TEXTS = 8
"""Values of a choice that are written beside its axis."""


@dataclass(frozen=True)
class Axis:
    """One column of values. `places`: where each lies, 0 below to 1 above; None where there is none.

    `marks`: what is written beside the axis, and where.
    """

    name: str
    places: tuple[float | None, ...]
    marks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Self:
        """Numbers by their size, or its logarithm over orders of magnitude; other values in the order of their text."""
        known = [value for value in values if value is not None]
        if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            return cls._of_numbers(name, values, min(known), max(known))
        texts = sorted({_text(value) for value in values})
        top = max(1, len(texts) - 1)
        marks = tuple((place / top, text) for place, text in enumerate(texts))
        return cls(name, tuple(texts.index(_text(value)) / top for value in values), marks[:MAX_TEXTS])

    @classmethod
    def _of_numbers(cls, name: str, values: Sequence[float | None], low: float, high: float) -> Self:
        is_log = low > 0 and high / low > LOG_FROM

        def place(value: float) -> float:
            if high == low:
                return 0.5
            if is_log:
                return math.log(value / low) / math.log(high / low)
            return (value - low) / (high - low)

        ends = ((0.0, number(low)), (1.0, number(high))) if high > low else ((0.5, number(low)),)
        return cls(name, tuple(None if value is None else place(value) for value in values), ends)


def parallel_coordinates(title: str, axes: Sequence[Axis]) -> Markup:
    """The plot; the first line of all is drawn last and in another colour."""
    step = (WIDTH - LEFT - RIGHT) / max(1, len(axes) - 1)
    across = [LEFT + step * place for place in range(len(axes))]
    parts = []
    for index in reversed(range(len(axes[0].places))):
        points = " ".join(
            f"{x:.1f},{_y(place):.1f}"
            for x, axis in zip(across, axes, strict=True)
            if (place := axis.places[index]) is not None
        )
        parts.append(f'<polyline class="line {"s2" if index == 0 else "s1 thin"}" points="{points}"/>')
    for position, (x, axis) in enumerate(zip(across, axes, strict=True)):
        parts.append(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        # names of neighbours stand on two lines, so that long ones do not meet
        name = escape(cut(axis.name, 2 * step - 8))
        parts.append(f'<text class="axis" x="{x:.1f}" y="{14 + 15 * (position % 2)}" text-anchor="middle">'
                     f"<title>{escape(axis.name)}</title>{name}</text>")  # fmt: skip
        parts += [
            f'<text class="halo" x="{x + 5:.1f}" y="{_y(place) + 4:.1f}">{escape(cut(text, step - 8))}</text>'
            for place, text in axis.marks
        ]
    return drawing(title, HEIGHT, parts, width=WIDTH)


def _y(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _text(value: Any) -> str:
    return "not set" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
