"""Why a row was chosen, in figures that a labeller or an auditor can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from training.active_learning.committee import members_of
from training.active_learning.signals import entropies
from training.active_learning.view import View
from training.errors import SpecError


def reasons(view: View, labelled_ids: Sequence[str]) -> list[dict[str, Any]]:
    """For each row of the view: entropy and margin of its probabilities, disagreement of the members if there are any,
    and the nearest labelled row. The prediction itself is left out: it would lead the labeller.

    Args:
        view: the chosen rows.
        labelled_ids: [l] ids of `view.labelled`.
    """
    found: list[dict[str, Any]] = [{} for _ in range(len(view))]
    if view.model is not None and view.scores.ndim == 2:
        ranked = np.sort(view.scores, axis=1)
        for row, entropy in enumerate(entropies(view.scores)):
            found[row]["entropy"] = round(float(entropy), 4)
            found[row]["margin"] = round(float(ranked[row, -1] - ranked[row, -2]), 4)
    for row, value in enumerate(_disagreement(view)):
        found[row]["disagreement"] = round(value, 4)
    if len(labelled_ids):
        nearest, distances = pairwise_distances_argmin_min(view.embedding, view.labelled_embedding)
        for row in range(len(view)):
            nearby = {"id": labelled_ids[int(nearest[row])], "distance": round(float(distances[row]), 4)}
            found[row]["nearest_labelled"] = nearby
    return found


def _disagreement(view: View) -> list[float]:
    """Standard deviation of the members' opinions; empty where the model has no members."""
    if view.model is None:
        return []
    try:
        members = members_of(view.model, view.frame)
    except SpecError:
        return []
    spread = members.std(axis=0)
    return [float(value) for value in (spread if spread.ndim == 1 else spread.max(axis=1))]
