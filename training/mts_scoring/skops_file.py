"""One estimator of scikit-learn in a skops file: a format that can only hold types that its reader names.

A module of its own, to be imported when a file is read or written: skops imports all of scikit-learn, and PyTorch where
that is installed (200 MB, 1.6 s), which a process that only fits or scores other models should not pay for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import skops.io

TRUSTED_TYPES = (
    "functools.partial",  # histogram boosting with categories holds a partial of check_array
    "sklearn.utils.validation.check_array",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""What a file may hold beyond skops' own defaults. Fixed here: what a file asks for is never trusted."""


def save_estimator(estimator: Any, path: Path) -> None:
    """Writes the estimator."""
    skops.io.dump(estimator, path)


def load_estimator(path: Path) -> Any:
    """Reads an estimator.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: the file holds a type that is not in TRUSTED_TYPES.
    """
    return skops.io.load(path, trusted=list(TRUSTED_TYPES))
