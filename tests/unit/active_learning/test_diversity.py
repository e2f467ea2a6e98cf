"""How a batch is put together."""

from __future__ import annotations

import numpy as np

from training.active_learning.diversity import alternating, drawn


def test_rows_are_drawn_once_each_and_in_proportion_to_their_weights() -> None:
    weights = np.array([0.0, 1.0, 3.0, 6.0])
    firsts = np.array([drawn(weights, 2, seed)[0] for seed in range(4_000)])
    shares = np.bincount(firsts, minlength=4) / len(firsts)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)
    assert sorted(drawn(weights, 4, 1).tolist()) == [0, 1, 2, 3]
    assert drawn(weights, 4, 1)[-1] == 0
    assert drawn(weights, 3, 7).tolist() == drawn(weights, 3, 7).tolist()
    assert drawn(weights, 0, 1).tolist() == []


def test_whoever_takes_the_first_rows_of_a_batch_has_some_of_each_half() -> None:
    empty = np.empty(0, np.int64)
    assert alternating(np.array([1, 2, 3]), np.array([7, 8])).tolist() == [1, 7, 2, 8, 3]
    assert alternating(np.array([1, 2]), empty).tolist() == [1, 2]
    assert alternating(empty, np.array([7])).tolist() == [7]
