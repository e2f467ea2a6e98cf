"""Rows of a stream that a model predicts: people with an income and a colour."""

from __future__ import annotations

from typing import Any

import numpy as np


def people(rows: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    income, color = generator.normal(size=rows) + shift, generator.choice(["red", "green"], rows)
    yes = generator.random(rows) < 1 / (1 + np.exp(-2 * income - (color == "red")))
    return [
        {"income": float(a), "color": str(b), "y": "yes" if c else "no"}
        for a, b, c in zip(income, color, yes, strict=True)
    ]
