"""How much each parameter of a search matters."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection

from training.result import TrialRow
from training.tuning.objective import Goal
from training.tuning.proposers import distribution_of
from training.tuning.space import Space

MIN_TRIALS = 8
"""Of fewer trials nothing can be said."""
MAX_TRIALS = 500


def importances(space: Space, goal: Goal, rows: Sequence[TrialRow], seed: int) -> dict[str, float]:
    """Share of the variance of the first objective that each parameter explains, the greatest first.

    By functional analysis of variance (Hutter, Hoos, Leyton-Brown 2014, "An efficient approach for assessing
    hyperparameter importance"). Parameters that only some trials have are left out; empty where there are too few
    trials, or no differences between them.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=StudyDirection.MAXIMIZE)
    gains = []
    for row in [row for row in rows if row.status == "COMPLETE"][-MAX_TRIALS:]:
        point = space.as_point(row.params)
        if point:
            gains.append(goal.gains(row.values)[0])
            distributions = {name: distribution_of(space.parameters[name]) for name in point}
            study.add_trial(optuna.trial.create_trial(params=point, distributions=distributions, value=gains[-1]))
    if len(gains) < MIN_TRIALS or min(gains) == max(gains):
        return {}
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: round(float(share), 4) for name, share in shares.items()}
