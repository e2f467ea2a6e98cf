"""DeLong's interval agrees with the bootstrap and keeps its promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.evaluation import paired_difference
from training.evaluation.delong import delong_difference


def pair(rows: int, seed: int, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = (generator.random(rows) < 0.3).astype(np.int64)
    shared = generator.normal(0, 1, rows)
    new = 1.0 * target + gap * target + shared + generator.normal(0, 0.5, rows)
    old = 1.0 * target + shared + generator.normal(0, 0.5, rows)
    return target, new, old


def test_the_value_is_the_difference_of_scikit_learns_areas() -> None:
    target, new, old = pair(500, 0, gap=0.3)
    new, old = np.round(new, 1), np.round(old, 1)  # with ties
    found = delong_difference(target, new, old)
    assert found.value == pytest.approx(roc_auc_score(target, new) - roc_auc_score(target, old), abs=1e-12)


def test_the_interval_is_about_the_bootstraps() -> None:
    target, new, old = pair(1500, 1, gap=0.2)
    exact = delong_difference(target, new, old)
    drawn = paired_difference("binary", "roc_auc", target, new, old, bootstrap_samples=2000)
    assert None not in {exact.low, exact.high, drawn.low, drawn.high}
    assert exact.low == pytest.approx(drawn.low, abs=0.004)
    assert exact.high == pytest.approx(drawn.high, abs=0.004)


def test_of_equal_models_the_interval_holds_zero_in_95_percent_of_cases() -> None:
    inside = 0
    for seed in range(400):
        found = delong_difference(*pair(400, seed))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_the_same_scores_differ_by_nothing() -> None:
    target, new, _ = pair(100, 3)
    found = delong_difference(target, new, new)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_one_class_only_has_no_difference() -> None:
    ones = np.ones(5, np.int64)
    assert delong_difference(ones, np.arange(5.0), np.arange(5.0)).value is None
    single = delong_difference(np.array([1, 0, 0]), np.arange(3.0), np.arange(3.0))
    assert (single.value, single.low) == (0, None)
