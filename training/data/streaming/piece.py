"""A part of the rows of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

USE_KEY = b"mts.feature_store"
"""Of the metadata of `rows`: which features of a feature store it has, a FeatureStoreUse as JSON."""


@dataclass(frozen=True)
class Piece:
    """Some rows, in the types of the driver or the file.

    `origin`: what errors call the place; the rows of one origin come one after the other. `rows`: a pyarrow.Table;
    None says that the source begins anew and what came before is void. `share`: of all rows that is read after this
    piece, in [0, 1]; None where nobody knows.
    """

    origin: str
    rows: Any
    share: float | None = None
