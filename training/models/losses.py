"""The loss by which fits compare models: log loss, or squared error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.models.base import Scores

SMALLEST_PROBABILITY = 1e-15


def losses_of(scores: Scores, target: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """[n] minus the logarithm of the true class's probability, or the squared error."""
    if scores.ndim == 1:
        return np.square(scores - target)
    told = scores[np.arange(len(target)), target.astype(np.int64)]
    return -np.log(np.clip(told, SMALLEST_PROBABILITY, None))
