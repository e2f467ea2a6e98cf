"""What explanations are made of: the share of each raw column in each row's score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.evaluation.statistic import FloatArray
from training.mts_scoring.encoder import TableEncoder


@dataclass(frozen=True)
class Contributions:
    """Shapley values by raw column. In each row `base` plus its phi is the score, in `unit`.

    `phi`: [n, columns, outputs]; one output for a binary task (the positive class) and for a regression, otherwise
    one for each class. `base`: [outputs].
    """

    columns: tuple[str, ...]
    phi: FloatArray
    base: FloatArray
    method: str
    unit: str


def by_raw_column(values: FloatArray, encoder: TableEncoder) -> FloatArray:
    """Contributions of the matrix's columns summed by the raw column that they come from.

    Shapley values add up: those of the one-hot columns of a category are together the category's.

    Args:
        values: [n, columns of the matrix, outputs].
        encoder: of the model.

    Returns:
        [n, len(encoder.columns), outputs].
    """
    if len(encoder.names) == len(encoder.columns):
        return values
    position = {name: index for index, name in enumerate(encoder.columns)}
    summed = np.zeros((values.shape[0], len(encoder.columns), values.shape[2]))
    for index, source in enumerate(encoder.sources):
        summed[:, position[source]] += values[:, index]
    return summed
