"""Learning curves as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from training.active_learning.stopping import advice, expected_gain, labels_saved


def rounds(*values: tuple[int, float, int, float], stability: float = 0.8, better: bool = True) -> list[dict[str, Any]]:
    return [
        {"metric": "m", "greater_is_better": better, "active": {"labels": a, "value": x},
         "random": {"labels": r, "value": y}, "stability": stability, "uncertainty": 0.6}
        for a, x, r, y in values
    ]  # fmt: skip


COSTS = {"batch_size": 10, "cost_per_row": 1.0, "min_gain_per_cost": 0.0}


def test_labels_saved_to_reach_what_random_labels_reach() -> None:
    found = labels_saved(rounds((40, 0.70, 40, 0.60), (60, 0.75, 60, 0.65), (80, 0.80, 80, 0.74)))
    assert found == {"level": 0.74, "random_labels": 80, "active_labels": 60, "saved": 20}
    lower_is_better = labels_saved(rounds((40, 0.7, 40, 0.8), (60, 0.5, 60, 0.6), better=False))
    assert lower_is_better is not None
    assert lower_is_better["saved"] == 0


def test_nothing_saved_where_the_strategy_has_not_got_there() -> None:
    assert labels_saved(rounds((40, 0.6, 40, 0.7)))["saved"] is None  # type: ignore[index]
    assert labels_saved([]) is None


def test_a_rising_curve_is_expected_to_rise_on_and_a_flat_one_not() -> None:
    rising = rounds((10, 0.50, 5, 0.5), (20, 0.60, 5, 0.5), (40, 0.70, 5, 0.5))
    gain = expected_gain(rising, 40)
    assert gain is not None
    assert gain["value"] == pytest.approx(0.1)
    flat = expected_gain(rounds((10, 0.7, 5, 0.5), (20, 0.7, 5, 0.5), (40, 0.7, 5, 0.5)), 40)
    assert flat is not None
    assert flat["value"] == pytest.approx(0.0, abs=1e-9)
    assert expected_gain(rising[:2], 40) is None


@pytest.mark.parametrize(
    ("changes", "costs", "word"),
    [
        ({"stability": 0.995}, {}, "stable"),
        ({"uncertainty": 0.01}, {}, "sure"),
        ({}, {"min_gain_per_cost": 0.5}, "less than 0.5"),
    ],
)
def test_each_reason_to_stop_is_given(changes: dict[str, Any], costs: dict[str, float], word: str) -> None:
    going = rounds((10, 0.50, 5, 0.5), (20, 0.60, 5, 0.5), (40, 0.70, 5, 0.5))
    assert advice(going, **COSTS)["stop"] is False
    told = advice([one | changes for one in going], **(COSTS | costs))
    assert told["stop"] is True
    assert word in told["reasons"][0]
