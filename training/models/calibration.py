"""Corrects the probabilities of a fitted model, on rows that it did not learn from, and only where that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from training.data.fold_strategies import Pair
from training.models.base import FitData, FittedModel, HeldOut, Scores, Structure
from training.models.losses import losses_of
from training.models.pool import crossed
from training.mts_scoring.calibrated_predictor import CalibratedPredictor, Calibration

PARTS = 5
MIN_ROWS = 50
"""Fewer rows cannot tell whether a correction helps."""
MIN_ISOTONIC_ROWS, MIN_ISOTONIC_PER_CLASS = 1_000, 200
"""A step function of few rows learns their noise (Niculescu-Mizil and Caruana 2005, doi:10.1145/1102351.1102430)."""
STANDARD_ERRORS = 1.0
"""The gain in log loss must be more than so many of its standard errors."""

FREE = Structure()
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationChoice:
    """What was decided: `calibration` None where none helps. The losses are cross-fitted log losses on `rows` rows."""

    calibration: Calibration | None
    rows: int
    log_loss_before: float
    log_loss_after: float
    reason: str


def with_held_out(fitted: FittedModel, data: FitData) -> FittedModel:
    """The model with scores of rows that it did not learn from: those it has, or those of the validation rows."""
    if fitted.held_out is not None or data.validation is None or not len(data.validation):
        return fitted
    scores = fitted.validation_scores
    if scores is None:
        scores = fitted.predictor.predict(data.validation.frame)
    positions = np.arange(len(data.train), len(data.train) + len(data.validation))
    structure = data.structure.of(positions)
    held = HeldOut(data.validation.target, data.validation.weight, scores, structure=structure)
    return replace(fitted, held_out=held)


def calibrated(fitted: FittedModel, seed: int) -> tuple[FittedModel, CalibrationChoice | None]:
    """The model with corrected probabilities, where that helps; None for a regression, and without held-out rows.

    `held_out` keeps the scores as they were before the correction.
    """
    held = fitted.held_out
    if held is None or held.scores.ndim == 1:
        return fitted, None
    choice = choose_calibration(held.scores, held.target.astype(np.int64), held.weight, seed, held.structure)
    if choice.calibration is None:
        return fitted, choice
    return replace(fitted, predictor=CalibratedPredictor(fitted.predictor, choice.calibration)), choice


def choose_calibration(
    scores: Scores, codes: Codes, weight: Floats | None, seed: int, structure: Structure = FREE
) -> CalibrationChoice:
    """Compares corrections by cross-fitting: each part of the rows is corrected by what the others teach, over time by
    what older ones teach.

    Args:
        scores: [n, classes] of rows that the model did not learn from.
        codes: [n] true classes.
        weight: [n] or None.
        seed: of the parts.
        structure: what ties the rows together.
    """
    weights = np.ones(len(codes)) if weight is None else weight
    before = losses_of(scores, codes)
    pairs = crossed(structure, len(codes), PARTS, seed)
    # over time nothing older judges the first rows
    judged = np.sort(np.concatenate([part for _, part in pairs])) if pairs else np.arange(len(codes))
    own = weights[judged]
    plain = float(np.average(before[judged], weights=own)) if own.any() else 0.0
    counts = np.bincount(codes, minlength=scores.shape[1])
    if len(codes) < MIN_ROWS or (counts > 0).sum() < 2 or not own.any() or not pairs:
        return CalibrationChoice(None, len(codes), plain, plain, f"{len(codes)} rows are too few to tell")
    methods = ["temperature"]
    if scores.shape[1] == 2 and len(codes) >= MIN_ISOTONIC_ROWS and counts.min() >= MIN_ISOTONIC_PER_CLASS:
        methods.append("isotonic")
    best: tuple[float, str] | None = None
    tried = []
    for method in methods:
        after = _cross_fitted(method, scores, codes, weights, pairs)
        gain, error = _mean_and_error((before - after)[judged], own)
        tried.append(f"{method} {plain - gain:.4f}")
        if gain > STANDARD_ERRORS * error and (best is None or gain > best[0]):
            best = gain, method
    figures = f"log loss {plain:.4f}, with {', with '.join(tried)}"
    if best is None:
        return CalibrationChoice(None, len(codes), plain, plain, f"no correction helps: {figures}")
    found = fit_calibration(best[1], scores, codes, weights)
    return CalibrationChoice(found, len(codes), plain, plain - best[0], figures)


def fit_calibration(method: str, scores: Scores, codes: Codes, weights: Floats) -> Calibration:
    """The correction with the least log loss (temperature), or by pool adjacent violators (isotonic)."""
    if method == "isotonic":
        return _isotonic(scores[:, 1], codes, weights)

    def loss(log_temperature: float) -> float:
        corrected = Calibration("temperature", float(np.exp(log_temperature))).apply(scores)
        return float(np.average(losses_of(corrected, codes), weights=weights))

    found: Any = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-3})
    return Calibration("temperature", float(np.exp(found.x)))


def _cross_fitted(method: str, scores: Scores, codes: Codes, weights: Floats, pairs: Sequence[Pair]) -> Floats:
    """[n] log losses, each with a correction that its row taught nothing; NaN of a row that no pair judges."""
    after = np.full(len(codes), np.nan)
    for rest, part in pairs:
        if weights[rest].any():
            found = fit_calibration(method, scores[rest], codes[rest], weights[rest])
            after[part] = losses_of(found.apply(scores[part]), codes[part])
        else:
            after[part] = losses_of(scores[part], codes[part])
    return after


def _isotonic(positive: Floats, codes: Codes, weights: Floats) -> Calibration:
    regression = IsotonicRegression(out_of_bounds="clip").fit(positive, codes, sample_weight=weights)
    # a step of a few rows of one class is no certainty: Laplace's rule over all rows bounds it
    edge = 1.0 / (len(codes) + 2.0)
    values = np.clip(regression.y_thresholds_, edge, 1.0 - edge)
    return Calibration("isotonic", knots=tuple(regression.X_thresholds_.tolist()), values=tuple(values.tolist()))


def _mean_and_error(gains: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    share = weights / weights.sum()
    mean = float(share @ gains)
    return mean, float(np.sqrt(np.square(share) @ np.square(gains - mean)))
