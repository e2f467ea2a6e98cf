"""Curves agree with scikit-learn; weak slices are found where they are and not where they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_auc_score

from training.evaluation.report.curves import curves_of, wilson
from training.evaluation.report.fairness import group_differences
from training.evaluation.slices import slice_labels
from training.evaluation.weak_slices import find_weak_slices, row_loss, slice_codes

CLASSES = ("no", "yes")


def scored(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = generator.beta(1, 3, rows)
    return (generator.random(rows) < scores).astype(np.int64), scores


def test_the_curves_are_scikit_learns() -> None:
    target, scores = scored()
    curves = curves_of("binary", target, scores, None, classes=CLASSES, threshold=0.4, cost_matrix=None)
    assert curves.roc is not None
    assert auc(curves.roc.x, curves.roc.y) == pytest.approx(roc_auc_score(target, scores), abs=1e-3)
    assert curves.confusion == confusion_matrix(target, scores >= 0.4).tolist()
    assert sum(sum(bar.counts.values()) for bar in curves.scores) == len(target)


def test_a_calibrated_model_lies_within_its_intervals() -> None:
    target, scores = scored(20_000)
    curves = curves_of("binary", target, scores, None, classes=CLASSES, threshold=None, cost_matrix=None)
    inside = [bin_.low <= bin_.predicted <= bin_.high for bin_ in curves.calibration]
    assert sum(inside) >= 8


def test_the_cost_curve_has_its_least_where_the_costs_say() -> None:
    target, scores = scored(20_000)
    costs = {"yes": {"no": 4.0}, "no": {"yes": 1.0}}
    curves = curves_of("binary", target, scores, None, classes=CLASSES, threshold=None, cost_matrix=costs)
    assert curves.cost is not None
    best = curves.cost.threshold[int(np.argmin(curves.cost.cost))]
    assert best == pytest.approx(0.2, abs=0.06)  # 1 / (1 + 4), for calibrated scores


def test_each_class_of_several_is_ranked_against_the_rest() -> None:
    generator = np.random.default_rng(0)
    target = generator.choice(4, 600, p=[0.2, 0.5, 0.25, 0.05])
    scores = generator.dirichlet(np.ones(4), 600) + 0.3 * np.eye(4)[target]
    scores /= scores.sum(axis=1, keepdims=True)
    curves = curves_of("multiclass", target, scores, None, classes=list("abcd"), threshold=None, cost_matrix=None)
    assert [one.name for one in curves.by_class] == ["b", "c", "a", "d"], "the most frequent first"
    assert sum(one.rows for one in curves.by_class) == 600
    for one in curves.by_class:
        code = "abcd".index(one.name)
        assert auc(one.roc.x, one.roc.y) == pytest.approx(roc_auc_score(target == code, scores[:, code]), abs=1e-3)


def test_one_class_only_has_no_ranking_curves() -> None:
    scores = np.linspace(0, 1, 50)
    curves = curves_of("binary", np.ones(50, np.int64), scores, None, classes=CLASSES, threshold=0.5, cost_matrix=None)
    assert (curves.roc, curves.precision_recall) == (None, None)
    assert curves.confusion[0] == [0.0, 0.0]


def test_wilsons_interval_holds_the_share_and_stays_within_bounds() -> None:
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)
    low, high = wilson(0.5, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def people(rows: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame({
        "city": generator.choice(list("abcde"), rows), "age": generator.uniform(18, 90, rows),
        "kind": generator.choice(["x", "y", None], rows), "many": generator.integers(0, 1000, rows).astype(str),
    })  # fmt: skip


def test_a_planted_weak_slice_is_found() -> None:
    frame = people(5000, 0)
    target, scores = scored(5000)
    bad = (frame["city"] == "c").to_numpy()
    target = np.where(bad, 1 - target, target)
    tested, found = find_weak_slices(frame, frame.columns, row_loss("binary", target, scores))
    assert tested > 20
    assert found[0].where == {"city": "c"}
    assert found[0].loss > found[0].loss_elsewhere
    assert found[0].rows == bad.sum()


def test_where_two_columns_meet_is_found_too() -> None:
    frame = people(8000, 1)
    target, scores = scored(8000)
    bad = ((frame["city"] == "a") & (frame["kind"] == "x")).to_numpy()
    target = np.where(bad, 1 - target, target)
    _, found = find_weak_slices(frame, frame.columns, row_loss("binary", target, scores))
    assert {"city": "a", "kind": "x"} in [one.where for one in found]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """At a false discovery rate of 5 %, a search of rows without a weak slice finds one in about 5 % of cases."""
    alarms = 0
    for seed in range(100):
        target, scores = scored(2000, seed)
        _, found = find_weak_slices(people(2000, seed + 1000), ["city", "age", "kind"],
                                    row_loss("binary", target, scores))  # fmt: skip
        alarms += bool(found)
    assert alarms <= 10


@pytest.mark.parametrize("column", ["city", "age", "kind", "many"])
def test_slices_are_those_of_the_slice_table(column: str) -> None:
    values = people(700, 2)[column]
    codes, labels = slice_codes(values)
    assert [labels[code] for code in codes] == slice_labels(values).tolist()


def test_no_columns_give_no_slices() -> None:
    assert find_weak_slices(pd.DataFrame(index=range(10)), [], np.ones(10)) == (0, [])


def test_a_group_that_is_decided_otherwise_shows() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"sex": ["f", "m"] * 1000, "rare": ["z"] * 5 + ["w"] * 1995})
    target = generator.integers(0, 2, 2000)
    scores = np.where(frame["sex"] == "f", 0.6, 0.4) + generator.normal(0, 0.05, 2000)
    by_sex, by_rare = group_differences(frame, ["sex", "rare"], "binary", target, scores, threshold=0.5)
    assert by_sex.largest_difference["selection_rate"] > 0.9
    other = next(group for group in by_sex.groups if group.value != by_sex.reference)
    gap = other.rates["selection_rate"].difference
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low <= gap.value <= gap.high
    assert [group.small for group in by_rare.groups] == [False, True]
    assert by_rare.largest_difference == {}


@pytest.mark.parametrize(
    ("task", "target", "scores", "rate"),
    [
        ("regression", np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 3.0, 4.0]), "mean_error"),
        ("multiclass", np.array([0, 1, 2, 0]), np.eye(3)[[0, 1, 1, 0]], "accuracy"),
    ],
)
def test_other_tasks_have_rates_of_their_own(task: str, target: np.ndarray, scores: np.ndarray, rate: str) -> None:
    frame = pd.DataFrame({"g": ["a", "a", "b", "b"]})
    (found,) = group_differences(frame, ["g"], task, target, scores)
    values = {group.value: group.rates[rate].value for group in found.groups}
    assert values == ({"a": 1.0, "b": 0.0} if task == "regression" else {"a": 1.0, "b": 0.5})
