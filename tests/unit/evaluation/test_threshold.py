"""The threshold is the cheapest on the rows, by the cost matrix."""

import numpy as np
import pytest

from training.errors import SpecError
from training.evaluation import choose_threshold

CLASSES = ("good", "bad")


def cost_of(target, scores, threshold, costs, weight=None):
    decided = (scores >= threshold).astype(int)
    table = np.array([[costs.get(a, {}).get(p, 0.0) for p in CLASSES] for a in CLASSES])
    return float(np.sum(table[target, decided] * (1 if weight is None else weight)))


def test_without_costs_it_is_one_half():
    assert choose_threshold(np.array([0, 1]), np.array([0.1, 0.2]), None, CLASSES) == 0.5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_is_cheaper(seed, weighted):
    generator = np.random.default_rng(seed)
    target = generator.integers(0, 2, 80)
    scores = np.round(np.clip(0.4 + 0.2 * target + 0.2 * generator.standard_normal(80), 0, 1), 2)
    weight = generator.uniform(0, 2, 80) if weighted else None
    costs = {"good": {"bad": 1.0}, "bad": {"good": 5.0, "bad": 0.1}}
    threshold = choose_threshold(target, scores, costs, CLASSES, weight)
    found = cost_of(target, scores, threshold, costs, weight)
    tried = [cost_of(target, scores, other, costs, weight) for other in np.linspace(-0.01, 1.01, 500)]
    assert found <= min(tried) + 1e-9


def test_dear_misses_lower_the_threshold():
    target = np.array([0, 1] * 50)
    scores = np.clip(0.5 + np.where(target == 1, 0.1, -0.1) + 0.3 * np.sin(np.arange(100)), 0, 1)
    even = choose_threshold(target, scores, {"good": {"bad": 1}, "bad": {"good": 1}}, CLASSES)
    dear = choose_threshold(target, scores, {"good": {"bad": 1}, "bad": {"good": 20}}, CLASSES)
    assert dear < even


def test_a_positive_decision_that_never_pays_is_never_made():
    scores = np.array([0.2, 0.7, 1.0])
    threshold = choose_threshold(np.array([0, 0, 0]), scores, {"good": {"bad": 1}, "bad": {"good": 1}}, CLASSES)
    assert not (scores >= threshold).any()


def test_a_positive_decision_that_always_pays_is_always_made():
    scores = np.array([0.0, 0.7, 1.0])
    threshold = choose_threshold(np.array([1, 1, 1]), scores, {"good": {"bad": 1}, "bad": {"good": 1}}, CLASSES)
    assert (scores >= threshold).all()


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"god": {"bad": 1}, "bad": {"good": 1}}, "evaluation.cost_matrix: no such class; nearest: good"),
        ({"good": {"bda": 1}, "bad": {"good": 1}}, "evaluation.cost_matrix.good: no such class; nearest: bad"),
        ({"good": {"bad": 1}}, "evaluation.cost_matrix.bad.good: the cost of deciding good where it is bad is missing"),
    ],
)
def test_a_matrix_that_does_not_fit_the_classes_is_refused(costs, message):
    with pytest.raises(SpecError, match=message):
        choose_threshold(np.array([0, 1]), np.array([0.1, 0.9]), costs, CLASSES)


def test_more_classes_have_no_threshold():
    with pytest.raises(SpecError, match="this one has 3 classes"):
        choose_threshold(np.array([0, 1]), np.array([0.1, 0.9]), {"a": {"b": 1}}, ("a", "b", "c"))
