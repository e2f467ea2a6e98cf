"""Probabilities are corrected where that helps, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from training.models import calibration
from training.models.base import FittedModel, HeldOut, Structure
from training.models.calibration import calibrated, choose_calibration
from training.mts_scoring.calibrated_predictor import CalibratedPredictor
from training.mts_scoring.constant_predictor import ConstantPredictor


def scored(rows: int, *, sharper: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Honest probabilities, made too sure of themselves by a factor on their logits."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=rows)
    codes = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    positive = 1 / (1 + np.exp(-sharper * logits))
    return np.column_stack([1 - positive, positive]), codes


def test_scores_that_are_too_sure_get_a_temperature() -> None:
    scores, codes = scored(600, sharper=3.0)
    choice = choose_calibration(scores, codes, None, seed=0)
    assert choice.calibration is not None
    assert choice.calibration.method == "temperature"
    assert choice.calibration.temperature == pytest.approx(3.0, rel=0.25)
    fresh, truth = scored(5000, sharper=3.0, seed=1)
    assert log_loss(truth, choice.calibration.apply(fresh)[:, 1]) < log_loss(truth, fresh[:, 1]) - 0.1
    assert choice.log_loss_after < choice.log_loss_before - 0.1


def test_honest_scores_are_left_alone() -> None:
    for seed in range(5):
        choice = choose_calibration(*scored(400, seed=seed), None, seed=0)
        assert choice.calibration is None
        assert choice.log_loss_after == choice.log_loss_before
        assert "no correction helps" in choice.reason


def test_what_no_temperature_can_correct_gets_a_rising_curve() -> None:
    scores, codes = scored(4000)
    bent = scores[:, 1] ** 4  # far too low, most of all in the middle
    choice = choose_calibration(np.column_stack([1 - bent, bent]), codes, None, seed=0)
    assert choice.calibration is not None
    assert choice.calibration.method == "isotonic"
    corrected = choice.calibration.apply(np.column_stack([1 - bent, bent]))
    assert 0 < corrected.min() < corrected.max() < 1
    assert (np.diff(corrected[np.argsort(bent), 1]) >= 0).all()


def test_several_classes_get_a_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(900, 4))
    codes = np.array([rng.choice(4, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    sharp = np.exp(4 * logits) / np.exp(4 * logits).sum(axis=1, keepdims=True)
    choice = choose_calibration(sharp, codes, None, seed=0)
    assert choice.calibration is not None
    np.testing.assert_allclose(choice.calibration.apply(sharp).sum(axis=1), 1.0)


@pytest.mark.parametrize("codes", [np.zeros(500, np.int64), np.arange(20) % 2], ids=["one class", "few rows"])
def test_rows_that_cannot_tell_change_nothing(codes: np.ndarray) -> None:
    scores = np.full((len(codes), 2), 0.5)
    assert choose_calibration(scores, codes, None, seed=0).calibration is None


def test_rows_without_weight_do_not_count() -> None:
    scores, codes = scored(600, sharper=3.0)
    wrong = np.concatenate([codes, 1 - codes])
    weight = np.concatenate([np.ones(600), np.zeros(600)])
    weighted = choose_calibration(np.vstack([scores, scores]), wrong, weight, seed=0)
    assert weighted.calibration is not None
    assert weighted.calibration.temperature == pytest.approx(3.0, rel=0.25)


def test_the_model_is_wrapped_and_its_held_out_scores_stay() -> None:
    scores, codes = scored(600, sharper=3.0)
    fitted = FittedModel(ConstantPredictor([0.4, 0.6], num_classes=2), {}, held_out=HeldOut(codes, None, scores))
    found, choice = calibrated(fitted, seed=0)
    assert choice is not None
    assert isinstance(found.predictor, CalibratedPredictor)
    assert found.held_out is fitted.held_out


def test_a_regression_has_no_probabilities() -> None:
    held = HeldOut(np.zeros(100), None, np.zeros(100))
    fitted = FittedModel(ConstantPredictor([1.0], num_classes=0), {}, held_out=held)
    assert calibrated(fitted, seed=0) == (fitted, None)


def test_a_row_is_never_corrected_by_what_its_group_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 4)
    codes = generator.integers(0, 2, 400)
    positive = generator.random(400)
    scores = np.column_stack([1 - positive, positive])
    marks = dict(zip(positive, groups, strict=True))
    seen: list[set[int]] = []
    real = calibration.fit_calibration

    def watched(method: str, learnt: Any, *rest: Any) -> Any:
        seen.append({marks[value] for value in learnt[:, 1]})
        return real(method, learnt, *rest)

    monkeypatch.setattr(calibration, "fit_calibration", watched)
    choose_calibration(scores, codes, None, 0, Structure(groups=groups))
    parts = [set(range(100)) - one for one in seen if len(one) < 100]
    assert len(parts) == calibration.PARTS
    assert sorted(group for part in parts for group in part) == list(range(100))
