"""How much each model counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.data.table import Rows
from training.models.combining import GreedyOptions, combine, mean_loss
from training.mts_scoring.combination import Combination


def classes(rows: int = 2000) -> tuple[Rows, list[np.ndarray]]:
    """Three models of one truth: two see a part of it each, the third sees nothing."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, rows))
    codes = (rng.random(rows) < 1 / (1 + np.exp(-2 * (first + second)))).astype(np.int64)
    logits = [first, second, rng.normal(size=rows)]
    scores = [1 / (1 + np.exp(-logit)) for logit in logits]
    return Rows(pd.DataFrame(index=range(rows)), codes, None), [np.column_stack([1 - s, s]) for s in scores]


def values(rows: int = 500) -> tuple[Rows, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, rows))
    target = first + second + 10.0
    scores = [2 * first + 10, 2 * second + 10, rng.normal(size=rows) + 10]
    return Rows(pd.DataFrame(index=range(rows)), target, rng.uniform(0.5, 2, rows)), scores


@pytest.mark.parametrize("combiner", ["greedy", "linear"])
@pytest.mark.parametrize("case", [classes, values])
def test_models_that_know_different_things_share_the_weight(combiner: str, case: object) -> None:
    rows, scores = case()  # type: ignore[operator]
    found = combine(combiner, scores, rows, seed=0)  # type: ignore[arg-type]
    first, second, noise = np.array(found.weights) / sum(found.weights)
    assert min(first, second) > 0.2
    assert noise < 0.15
    together = mean_loss(found.apply(scores), rows)
    assert together < min(mean_loss(score, rows) for score in scores)
    assert combine(combiner, scores, rows, seed=0) == found  # type: ignore[arg-type]


def test_the_best_model_alone_where_others_only_harm() -> None:
    rows, scores = values()
    truth = rows.target
    found = combine("greedy", [truth, scores[2]], rows, seed=0)
    assert found.weights == (1.0, 0.0)


def test_the_linear_combiner_also_corrects_a_bias() -> None:
    rows, scores = values()
    shifted = [score + 5.0 for score in scores]
    found = combine("linear", shifted, rows, seed=0)
    assert np.average(found.apply(shifted) - rows.target, weights=rows.weight) == pytest.approx(0.0, abs=1e-9)


def test_of_very_many_rows_some_are_enough() -> None:
    rows, scores = classes(60_000)
    few, many = classes(2_000)
    found = combine("greedy", scores, rows, seed=0, options=GreedyOptions(bags=4))
    np.testing.assert_allclose(found.weights, combine("greedy", many, few, seed=0).weights, atol=0.15)


def test_probabilities_sum_to_one_even_where_all_models_give_none() -> None:
    nothing = np.zeros((2, 3))
    for kind, bias in (("mean", ()), ("log", (0.0, 0.0, 0.0))):
        total = Combination(kind, (0.5, 0.5), bias).apply([nothing, nothing])  # type: ignore[arg-type]
        np.testing.assert_allclose(total.sum(axis=1), 1.0)
