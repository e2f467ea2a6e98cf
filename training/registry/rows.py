"""Which rows a model has seen, as hashes, so that nobody is judged on rows that it was trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.data import row_hashes

__all__ = ["RowHashes", "identifying", "row_hashes", "unseen"]

RowHashes = npt.NDArray[np.uint64]


def identifying(hashes: RowHashes) -> RowHashes:
    """The hashes that occur once, ascending.

    Where rows repeat, as in a table of a few categories, meeting equal values again does not mean meeting the same
    row; if they counted as seen, such tables would leave nothing to compare models on.
    """
    values, counts = np.unique(hashes, return_counts=True)
    return np.asarray(values[counts == 1], dtype=np.uint64)


def unseen(hashes: RowHashes, seen: RowHashes) -> npt.NDArray[np.bool_]:
    """[n] whether each row is not among those seen."""
    return ~np.isin(hashes, seen)
