"""The metrics are scikit-learn's, with weights, ties and rare classes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from training.errors import FitError, SpecError
from training.evaluation import evaluate, greater_is_better, metrics_of, point_metrics, primary_metric


def binary_rows(rows: int, seed: int, *, ties: bool, weighted: bool):
    generator = np.random.default_rng(seed)
    target = (generator.random(rows) < 0.35).astype(np.int64)
    target[:2] = [0, 1]
    scores = np.clip(0.3 + 0.2 * target + 0.25 * generator.standard_normal(rows), 0, 1)
    if ties:
        scores = np.round(scores, 1)
    return target, scores, generator.uniform(0.1, 5, rows) if weighted else None


def sklearn_binary(target, scores, weight):
    decided = scores >= 0.5
    clipped = np.stack([1 - scores, scores], axis=1)
    return {
        "roc_auc": sk.roc_auc_score(target, scores, sample_weight=weight),
        "average_precision": sk.average_precision_score(target, scores, sample_weight=weight),
        "log_loss": sk.log_loss(target, clipped, sample_weight=weight, labels=[0, 1]),
        "brier_score": sk.brier_score_loss(target, scores, sample_weight=weight),
        "accuracy": sk.accuracy_score(target, decided, sample_weight=weight),
        "f1": sk.f1_score(target, decided, sample_weight=weight),
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rows", [3, 50, 2000])
def test_binary_metrics_equal_scikit_learns(rows, ties, weighted):
    target, scores, weight = binary_rows(rows, rows, ties=ties, weighted=weighted)
    found = point_metrics("binary", target, scores, weight)
    for metric, value in sklearn_binary(target, scores, weight).items():
        assert found[metric] == pytest.approx(value, rel=1e-10, abs=1e-12), metric


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30))
def test_few_values_and_zero_weights_agree_with_scikit_learn(rows):
    target = np.array([int(row[0]) for row in rows])
    scores = np.array([row[1] for row in rows]) / 4
    weight = np.array([float(row[2]) for row in rows])
    if min(weight[target == 0].sum(), weight[target == 1].sum()) == 0:
        return
    found = point_metrics("binary", target, scores, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sklearn_binary(target, scores, weight)
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-9, abs=1e-12), metric


def test_ece_is_the_mean_gap_between_score_and_share_of_positives():
    target = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    scores = np.array([0.05, 0.05, 0.05, 0.05, 0.9, 0.9, 0.9, 0.9])
    # Two bins of four rows: |0.05 - 0.25| and |0.9 - 0.75|.
    assert point_metrics("binary", target, scores)["ece"] == pytest.approx(0.5 * 0.2 + 0.5 * 0.15)
    weight = np.array([1.0, 1, 1, 1, 3, 3, 3, 3])
    assert point_metrics("binary", target, scores, weight)["ece"] == pytest.approx(0.25 * 0.2 + 0.75 * 0.15)


def test_multiclass_ece_looks_at_the_most_probable_class():
    scores = np.array([[0.8, 0.1, 0.1]] * 4 + [[0.1, 0.6, 0.3]] * 4)
    target = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    assert point_metrics("multiclass", target, scores)["ece"] == pytest.approx(0.5 * 0.05 + 0.5 * 0.1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [3, 7])
def test_multiclass_metrics_equal_scikit_learns(classes, weighted):
    generator = np.random.default_rng(classes)
    target = generator.integers(0, classes, 500)
    scores = generator.dirichlet(np.ones(classes), 500)
    scores[np.arange(500), target] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    weight = generator.uniform(0.1, 5, 500) if weighted else None
    found = point_metrics("multiclass", target, scores, weight)
    decided = scores.argmax(axis=1)
    assert found["log_loss"] == pytest.approx(sk.log_loss(target, scores, sample_weight=weight), rel=1e-10)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(target, decided, sample_weight=weight), rel=1e-10)
    macro = sk.f1_score(target, decided, sample_weight=weight, average="macro")
    assert found["macro_f1"] == pytest.approx(macro, rel=1e-10)
    area = sk.roc_auc_score(target, scores, sample_weight=weight, multi_class="ovr")
    assert found["roc_auc_ovr"] == pytest.approx(area, rel=1e-10)


def test_macro_f1_counts_the_classes_that_occur():
    target = np.array([0, 0, 1, 1])
    scores = np.array([[0.9, 0.05, 0.05, 0], [0.1, 0.8, 0.1, 0], [0.1, 0.1, 0.8, 0], [0.2, 0.5, 0.3, 0]])
    expected = sk.f1_score(target, [0, 1, 2, 1], average="macro", zero_division=0.0)
    assert point_metrics("multiclass", target, scores)["macro_f1"] == pytest.approx(expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_metrics_equal_scikit_learns(weighted):
    generator = np.random.default_rng(1)
    target = 1e6 + generator.standard_normal(300)
    scores = target + 0.3 * generator.standard_normal(300)
    weight = generator.uniform(0.1, 5, 300) if weighted else None
    found = point_metrics("regression", target, scores, weight)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(target, scores, sample_weight=weight), rel=1e-9)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(target, scores, sample_weight=weight), rel=1e-9)
    assert found["r2"] == pytest.approx(sk.r2_score(target, scores, sample_weight=weight), rel=1e-9)


def test_what_one_class_leaves_undefined_is_none():
    found = evaluate("binary", np.zeros(20, np.int64), np.linspace(0, 0.9, 20), bootstrap_samples=50)
    assert found["roc_auc"].value is None
    assert found["roc_auc"].low is None
    assert found["average_precision"].value is None
    assert found["accuracy"].value == pytest.approx(11 / 20)
    assert found["accuracy"].low is not None
    assert "roc_auc" not in point_metrics("binary", np.zeros(20, np.int64), np.linspace(0, 0.9, 20))


def test_what_a_missing_class_or_a_constant_target_leaves_undefined_is_none():
    scores = np.full((10, 3), 1 / 3)
    assert evaluate("multiclass", np.arange(10) % 2, scores)["roc_auc_ovr"].value is None
    assert evaluate("regression", np.full(10, 2.5), np.linspace(2, 3, 10))["r2"].value is None


def test_binary_scores_may_be_both_columns():
    target, scores, _ = binary_rows(40, 0, ties=False, weighted=False)
    assert point_metrics("binary", target, np.stack([1 - scores, scores], axis=1)) == point_metrics(
        "binary", target, scores
    )


def test_threshold_moves_accuracy_and_f1_and_nothing_else():
    target, scores, _ = binary_rows(200, 0, ties=True, weighted=False)
    usual, strict = point_metrics("binary", target, scores), point_metrics("binary", target, scores, threshold=0.7)
    changed = {metric for metric in usual if usual[metric] != strict[metric]}
    assert changed == {"accuracy", "f1"}
    assert strict["f1"] == pytest.approx(sk.f1_score(target, scores >= 0.7))


def test_a_metric_of_another_task_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match=r"evaluation.metrics: rmse: no metric of a binary task; known: roc_auc"):
        evaluate("binary", np.array([0, 1]), np.array([0.1, 0.9]), metrics=["rmse"])


def test_wanted_metrics_only():
    assert list(evaluate("regression", np.arange(5.0), np.arange(5.0), metrics=["mae", "r2"])) == ["mae", "r2"]


def test_scores_that_are_not_numbers_are_the_models_fault():
    with pytest.raises(FitError, match="1 scores that are not finite"):
        evaluate("regression", np.arange(3.0), np.array([0.0, np.nan, 1.0]))


def test_a_metric_by_name():
    assert [primary_metric(task) for task in ("binary", "multiclass", "regression")] == ["roc_auc", "log_loss", "rmse"]
    assert metrics_of("regression") == ("rmse", "mae", "r2")
    assert greater_is_better("roc_auc")
    assert not greater_is_better("log_loss")
