"""Learning curves as people read them: labels saved, the gain to expect, and whether to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STABLE_KAPPA = 0.99
STABLE_ROUNDS = 3
"""As Bloodgood and Vijay-Shanker 2009 propose: the mean of the last three."""
CERTAIN = 0.05
"""Mean entropy of the pool, as a share of the greatest possible."""
CURVE_POINTS = 5
"""Newest points of the curve from which the next one is guessed."""
MIN_POINTS = 3

Evidence = Mapping[str, Any]


def points(rounds: Sequence[Evidence], arm: str) -> list[tuple[int, float]]:
    """(labels, metric) of an arm, by labels."""
    found = {one[arm]["labels"]: one[arm]["value"] for one in rounds if one.get(arm, {}).get("value") is not None}
    return sorted(found.items())


def labels_saved(rounds: Sequence[Evidence]) -> dict[str, Any] | None:
    """How many labels fewer the strategy took to reach the random arm's newest figure; None while that is unknown."""
    active, random = points(rounds, "active"), points(rounds, "random")
    if not active or not random:
        return None
    sign = 1 if rounds[-1]["greater_is_better"] else -1
    needed, level = random[-1]
    reached = next((labels for labels, value in active if sign * value >= sign * level), None)
    if reached is None:
        return {"level": level, "random_labels": needed, "active_labels": None, "saved": None}
    return {"level": level, "random_labels": needed, "active_labels": reached, "saved": needed - reached}


def expected_gain(rounds: Sequence[Evidence], labels: int) -> dict[str, Any] | None:
    """Gain of the primary metric to expect of so many labels more, with an interval of two standard errors.

    The newest points of the active arm are fitted by a line over the logarithm of the number of labels.
    """
    curve = points(rounds, "active")[-CURVE_POINTS:]
    if len(curve) < MIN_POINTS:
        return None
    sign = 1 if rounds[-1]["greater_is_better"] else -1
    x = np.log([labels for labels, _ in curve])
    y = sign * np.array([value for _, value in curve])
    slope, offset = np.polyfit(x, y, 1)
    rest = y - (slope * x + offset)
    error = float(np.sqrt((rest**2).sum() / max(1, len(x) - 2) / ((x - x.mean()) ** 2).sum()))
    step = float(np.log((curve[-1][0] + labels) / curve[-1][0]))
    gain = float(slope) * step
    return {"value": gain, "low": gain - 2 * error * step, "high": gain + 2 * error * step, "labels": labels}


def advice(
    rounds: Sequence[Evidence], *, batch_size: int, cost_per_row: float, min_gain_per_cost: float
) -> dict[str, Any]:
    """Whether to stop, and why: {"stop", "reasons"}. Nothing here stops by itself."""
    reasons = []
    kappas = [one["stability"] for one in rounds if one.get("stability") is not None][-STABLE_ROUNDS:]
    if len(kappas) == STABLE_ROUNDS and float(np.mean(kappas)) >= STABLE_KAPPA:
        reasons.append(
            f"predictions are stable: agreement of the last {STABLE_ROUNDS} models is {np.mean(kappas):.3f}"
            f" (from {STABLE_KAPPA})"
        )
    uncertain = [one["uncertainty"] for one in rounds if one.get("uncertainty") is not None]
    if uncertain and uncertain[-1] <= CERTAIN:
        reasons.append(f"the model is sure of the pool: mean entropy {uncertain[-1]:.3f} of 1 (from {CERTAIN} down)")
    gain = expected_gain(rounds, batch_size)
    if gain is not None and gain["high"] / (batch_size * cost_per_row) < min_gain_per_cost:
        reasons.append(
            f"the next {batch_size} labels are expected to bring {gain['value']:+.4f}, at most {gain['high']:+.4f}:"
            f" less than {min_gain_per_cost:g} for one unit of cost"
        )
    return {"stop": bool(reasons), "reasons": reasons or ["nothing speaks for stopping yet"]}
