"""Conformal intervals hold the true value as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation import conformal_margin


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_covers_as_often_as_promised_on_average(coverage: float) -> None:
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        errors = rng.standard_t(3, size=150)
        margin = conformal_margin(errors[:100], np.zeros(100), None, coverage)
        assert margin is not None
        held.append(np.mean(np.abs(errors[100:]) <= margin))
    assert np.mean(held) == pytest.approx(coverage, abs=0.02)


def test_is_the_order_statistic_of_the_paper() -> None:
    target = np.arange(1.0, 20.0)  # 19 errors: the ceil(20 * 0.9) = 18th smallest
    assert conformal_margin(target, np.zeros(19), None, 0.9) == 18.0


def test_too_few_rows_promise_nothing() -> None:
    assert conformal_margin(np.ones(5), np.zeros(5), None, 0.9) is None


def test_a_row_counts_by_its_weight() -> None:
    target, weight = np.array([1.0, 2.0, 100.0] * 50), np.array([1.0, 1.0, 0.0] * 50)
    assert conformal_margin(target, np.zeros(150), weight, 0.9) == 2.0
