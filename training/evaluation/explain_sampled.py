"""Shapley values of any model, by sampling orders of the columns (Štrumbelj and Kononenko 2014)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.evaluation.contributions import Contributions
from training.evaluation.statistic import FloatArray, IntArray
from training.mts_scoring.model import ScoringModel

ROWS, LEAST_ROWS = 100, 20
PAIRS = 2
"""Orders per row come in pairs, one the reverse of the other, which cancels much of the sampling noise."""
CELLS = 4_000_000
"""Rows times columns that are scored for one explanation; a wide table explains fewer rows."""
SCORING_US = 4e6
"""About how long the scores may take; a slow model explains fewer rows."""


def explain_sampled(
    model: ScoringModel, frame: pd.DataFrame, background: pd.DataFrame, *, seed: int = 0
) -> Contributions:  # fmt: skip
    """Contributions of the first rows of `frame`.

    A row is walked from a random row of the background to itself, one raw column after the other in a random order;
    the step of the score at a column is a sample of the column's Shapley value. The values of a row add up exactly to
    its score less that of its background rows.

    Args:
        model: any model; it is only asked for scores.
        frame: rows to explain; at most ROWS of them, fewer of a wide table or for a slow model, are taken.
        background: rows that stand for "not known".
        seed: of the orders and of the choice of background rows.
    """
    columns = tuple(feature.name for feature in model.features)
    wide = len(columns)
    scored = 2 * PAIRS * (wide + 1)
    fast = max(LEAST_ROWS, int(SCORING_US // (scored * model.predictor.row_us())))
    rows = min(len(frame), ROWS, fast, max(1, CELLS // (scored * max(1, wide))))
    generator = np.random.default_rng(seed)
    orders = np.stack([generator.permutation(wide) for _ in range(rows * PAIRS)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    own = np.tile(np.arange(rows), 2 * PAIRS)
    other = np.tile(generator.integers(0, len(background), rows * PAIRS), 2)
    scores = _walks(model, frame.iloc[:rows], background, orders, (own, other))
    steps = np.diff(scores, axis=1)
    values = np.zeros((rows, wide, scores.shape[2]))
    for walk, order in enumerate(orders):
        values[own[walk], order] += steps[walk] / (2 * PAIRS)
    start = np.zeros((rows, scores.shape[2]))
    np.add.at(start, own, scores[:, 0] / (2 * PAIRS))
    base = start.mean(axis=0)
    # each row had background rows of its own; by how much they differ from the mean of all is shared out over the
    # columns by their weight in the model, so that one that it ignores keeps nothing
    strength = np.abs(values).mean(axis=0)
    values += (start - base)[:, None, :] * (strength / np.maximum(strength.sum(axis=0), np.finfo(np.float64).tiny))
    return Contributions(
        columns=columns,
        phi=values,
        base=base,
        method=f"sampled Shapley values, {2 * PAIRS} orders of the columns for each row",
        unit="probability" if model.classes else "the target's unit",
    )


def _walks(
    model: ScoringModel,
    frame: pd.DataFrame,
    background: pd.DataFrame,
    orders: npt.NDArray[np.int64],
    pairs: tuple[IntArray, IntArray],
) -> FloatArray:
    """Scores along each walk, [walks, columns + 1, outputs]; all are scored by one call."""
    walks, wide = orders.shape
    own, other = pairs
    # when a column is passed: from that step on the row's own value stands there
    passed_at = np.empty_like(orders)
    np.put_along_axis(passed_at, orders, np.arange(wide)[None, :], axis=1)
    steps = np.arange(wide + 1)
    mixed = {}
    for position, feature in enumerate(model.features):
        both = pd.concat([frame[feature.name], background[feature.name]], ignore_index=True)
        is_own = passed_at[:, position, None] < steps[None, :]
        taken = np.where(is_own, own[:, None], len(frame) + other[:, None])
        mixed[feature.name] = both.take(taken.reshape(-1)).reset_index(drop=True)
    scores = model.scores(pd.DataFrame(mixed)).reshape(walks, wide + 1, -1)
    return scores[:, :, 1:] if model.task == "binary" else scores
