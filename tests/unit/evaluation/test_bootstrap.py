"""Intervals come from the metric of each resample, are the same for every number of threads, and cover."""

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from training.evaluation import Resampling, drawing, evaluate, metrics_of, paired_difference
from training.evaluation.bootstrap import replicates
from training.evaluation.drawing import draw_counts
from training.evaluation.metrics import point_metrics, statistic_of
from training.evaluation.statistic import Buffers


def rows_of(task: str, rows: int = 120, seed: int = 0):
    generator = np.random.default_rng(seed)
    if task == "regression":
        target = generator.standard_normal(rows)
        return target, target + generator.standard_normal(rows)
    classes = 2 if task == "binary" else 4
    target = generator.integers(0, classes, rows)
    scores = generator.dirichlet(np.ones(classes), rows) + 0.4 * np.eye(classes)[target]
    scores = np.round(scores / scores.sum(axis=1, keepdims=True), 2)
    return target, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_each_replicate_is_the_metric_of_the_drawn_rows(task, weighted):
    target, scores = rows_of(task)
    weight = np.random.default_rng(5).uniform(0.2, 3, len(target)) if weighted else None
    statistic = statistic_of(task, target, scores, (), None)
    found = replicates(statistic, weight, Resampling(bootstrap_samples=20, seed=3))
    drawn = draw_counts(len(target), 20, (3, 0), Buffers()).astype(np.int64)
    assert (drawn.sum(axis=1) == len(target)).all()
    for counts, values in zip(drawn, found, strict=True):
        rows = np.repeat(statistic.order, counts)
        expected = point_metrics(task, target[rows], scores[rows], None if weight is None else weight[rows])
        assert dict(zip(metrics_of(task), values, strict=True)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rows_are_drawn_evenly():
    counts = draw_counts(50, 4000, (0, 0), Buffers())
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.12)
    assert counts.var(axis=0) == pytest.approx(np.full(50, 1 - 1 / 50), abs=0.2)


@pytest.mark.parametrize("rows", [2, 25, 26, 1000])
def test_counts_are_as_if_rows_were_drawn_one_by_one(rows):
    samples = 2_000_000 // rows // 20
    counts = draw_counts(rows, samples, (1, 0), Buffers())
    assert (counts.sum(axis=1) == rows).all()
    found = np.bincount(counts.reshape(-1), minlength=rows + 1)[: rows + 1]
    expected = binom.pmf(np.arange(rows + 1), rows, 1 / rows) * counts.size
    common = expected >= 5
    assert chisquare(found[common], expected[common] * found[common].sum() / expected[common].sum()).pvalue > 1e-3
    assert np.cov(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-1 / rows, abs=4 / samples**0.5)
    assert (draw_counts(1, 3, (1, 0), Buffers()) == 1).all()


def test_lines_with_too_many_rows_at_once_are_drawn_again(monkeypatch):
    monkeypatch.setattr(drawing, "SHORTFALL", 0.0)
    counts = draw_counts(400, 2000, (0, 0), Buffers())
    assert (counts.sum(axis=1) == 400).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(400), abs=0.12)
    assert counts.var() == pytest.approx(1 - 1 / 400, abs=0.01)


@pytest.mark.parametrize("rows", [200, 300_000])
def test_the_number_of_threads_changes_no_digit(rows):
    target, scores = rows_of("binary", rows)
    samples = 1000 if rows == 200 else 6
    one = evaluate("binary", target, scores, bootstrap_samples=samples, seed=7, threads=1)
    assert evaluate("binary", target, scores, bootstrap_samples=samples, seed=7, threads=3) == one
    assert evaluate("binary", target, scores, bootstrap_samples=samples, seed=8) != one


def test_intervals_hold_the_value_and_widen_with_the_confidence():
    target, scores = rows_of("binary", 400)
    narrow = evaluate("binary", target, scores, confidence=0.8)["roc_auc"]
    wide = evaluate("binary", target, scores, confidence=0.99)["roc_auc"]
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_intervals_cover_the_true_value_about_as_often_as_they_say():
    covered = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        target = generator.standard_normal(150)
        found = evaluate(
            "regression", target, target + generator.standard_normal(150), bootstrap_samples=300, confidence=0.9
        )
        covered += found["rmse"].low <= 1.0 <= found["rmse"].high
    assert 160 <= covered <= 194


def test_no_samples_give_no_bounds():
    target, scores = rows_of("binary")
    found = evaluate("binary", target, scores, bootstrap_samples=0)
    assert found["roc_auc"].value is not None
    assert found["roc_auc"].low is None


def test_a_metric_that_most_resamples_leave_undefined_gets_no_bounds():
    target = np.zeros(100, np.int64)
    target[0] = 1
    usual = evaluate("binary", target, np.linspace(0.9, 0.1, 100))["roc_auc"]
    assert usual.low == usual.high == 1.0
    rare = evaluate("multiclass", np.array([0, 1, 2] + [0] * 60), np.full((63, 3), 1 / 3))["roc_auc_ovr"]
    assert rare.value == 0.5
    assert rare.low is None


@pytest.mark.parametrize(("task", "metric"), [("binary", "roc_auc"), ("binary", "log_loss"), ("regression", "rmse")])
def test_a_difference_is_positive_when_the_new_one_is_better(task, metric):
    target, worse = rows_of(task, 300)
    better = 0.5 * (worse + (target if task == "regression" else np.eye(2)[target]))
    gain = paired_difference(task, metric, target, better, worse, bootstrap_samples=200)
    assert 0 < gain.low <= gain.value <= gain.high
    loss = paired_difference(task, metric, target, worse, better, bootstrap_samples=200)
    assert (loss.value, loss.low, loss.high) == pytest.approx((-gain.value, -gain.high, -gain.low))


def test_a_loss_in_calibration_is_negative():
    generator = np.random.default_rng(1)
    scores = generator.uniform(0.05, 0.95, 1000)
    target = (generator.random(1000) < scores).astype(np.int64)
    loss = paired_difference("binary", "ece", target, scores**3, scores)
    assert loss.low < loss.value < loss.high < 0


def test_equal_models_differ_by_nothing():
    target, scores = rows_of("binary", 300)
    none = paired_difference("binary", "roc_auc", target, scores, scores)
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)


def test_a_difference_on_the_same_rows_is_firmer_than_two_intervals():
    target, scores = rows_of("binary", 300)
    near = np.clip(scores + 0.01 * np.eye(2)[target], 0, 1)
    paired = paired_difference("binary", "log_loss", target, near, scores)
    single = evaluate("binary", target, scores, metrics=["log_loss"])["log_loss"]
    assert paired.high - paired.low < 0.2 * (single.high - single.low)


@pytest.mark.parametrize("rows", [100, 200, 2000])
def test_the_interval_of_the_calibration_error_holds_its_value(rows):
    generator = np.random.default_rng(rows)
    scores = generator.uniform(0.05, 0.95, rows)
    target = (generator.uniform(size=rows) < scores).astype(np.int64)  # calibrated: the true error is zero
    interval = evaluate("binary", target, np.column_stack([1 - scores, scores]), metrics=["ece"])["ece"]

    assert 0.0 <= interval.low <= interval.value <= interval.high
