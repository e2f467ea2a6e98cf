"""What the stage that fits hands on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.models import FittedModel
from training.result import LeaderboardRow, StudySummary


@dataclass(frozen=True)
class Fit:
    """A fitted model, and what was found on the way.

    `validation_scores`: of the validation rows by a model that has not seen them, [n] or [n, classes], where `model`
    itself was fitted on them too; None where it was not.
    """

    model: FittedModel
    validation_scores: npt.NDArray[np.float64] | None = None
    study: StudySummary | None = None
    leaderboard: list[LeaderboardRow] = field(default_factory=list)
