"""The part of a report that says what the scores are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from training.data.table import Rows
from training.evaluation.contributions import Contributions
from training.evaluation.explain import TREE_ROWS, explain
from training.evaluation.importance import permutation_importance, rows_shuffled
from training.evaluation.report.model import Dependence, Explanation, Importance
from training.evaluation.statistic import FloatArray
from training.mts_scoring.model import ScoringModel

MAX_DEPENDENCE = 8
"""Columns whose dependence is shown, the most important first."""
MAX_POINTS = 200
MAX_CATEGORIES = 12


def explanation_of(model: ScoringModel, test: Rows, metric: str, *, seed: int = 0) -> Explanation:
    """Contributions and permutation importance on a random sample of the test rows.

    Args:
        model: the model.
        test: its hold-out rows.
        metric: whose loss the permutation importance is.
        seed: of the sample and of all that is drawn.
    """
    sample = np.sort(np.random.default_rng(seed).permutation(len(test))[:TREE_ROWS])
    # shuffled, for every part below takes the first rows
    order = np.random.default_rng(seed + 1).permutation(sample)
    frame = test.frame.iloc[order].reset_index(drop=True)
    found = explain(model, frame, seed=seed)
    strength = np.abs(found.phi).mean(axis=(0, 2))
    ranked = [found.columns[index] for index in np.argsort(-strength, kind="stable")]
    weight = None if test.weight is None else test.weight[order]
    shuffled = permutation_importance(model, frame, test.target[order], metric, weight, columns=ranked, seed=seed)
    output = _shown_output(model, found, test)
    kinds = {feature.name: feature.kind for feature in model.features}
    by_name = dict(zip(found.columns, strength, strict=True))
    return Explanation(
        method=found.method,
        unit=found.unit,
        of=model.classes[1 if model.task == "binary" else output] if model.classes else model.target,
        rows=len(found.phi),
        permutation_rows=rows_shuffled(model, len(frame), len(ranked)),
        base=float(found.base[output]),
        features=[_importance(name, float(by_name[name]), shuffled.get(name)) for name in ranked],
        dependence=[
            _dependence(name, kinds[name], frame[name].iloc[: len(found.phi)],
                        found.phi[:, found.columns.index(name), output])
            for name in ranked[:MAX_DEPENDENCE]
        ],
    )  # fmt: skip


def _shown_output(model: ScoringModel, found: Contributions, test: Rows) -> int:
    """Of a multiclass task the most frequent class is shown."""
    if found.phi.shape[2] == 1:
        return 0
    return int(np.bincount(np.asarray(test.target, np.int64), minlength=len(model.classes)).argmax())


def _importance(name: str, shap: float, permuted: tuple[float, float] | None) -> Importance:
    mean, deviation = (None, None) if permuted is None else permuted
    return Importance(column=name, shap=shap, permutation=mean, permutation_sd=deviation)


def _dependence(name: str, kind: str, values: pd.Series, contributions: FloatArray) -> Dependence:
    """Points of a numeric column; the mean by value of any other."""
    if kind == "numeric":
        filled = np.flatnonzero(values.notna().to_numpy())[:MAX_POINTS]
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)[filled]
        return Dependence(column=name, kind=kind, values=_listed(numbers), contributions=_listed(contributions[filled]))
    labels = values.astype(object).where(values.notna(), "missing").map(str)
    means = pd.Series(contributions).groupby(labels.to_numpy()).agg(["mean", "size"])
    shown = means.sort_values("size", ascending=False, kind="stable").head(MAX_CATEGORIES).sort_values("mean")
    names = [str(value) for value in shown.index]
    return Dependence(column=name, kind=kind, values=names, contributions=_listed(shown["mean"].to_numpy()))


def _listed(numbers: FloatArray | Sequence[float]) -> list[float]:
    return [float(value) for value in np.round(np.asarray(numbers, np.float64), 6)]
