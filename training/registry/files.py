"""What is kept with a version beside its model: the paths, and the formats that are ours."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

RESULT = "result.json"
"""The job's, but for the number of the version."""
REPORT_JSON, REPORT_PAGE = "report/report.json", "report/report.html"
TEST_ROWS = "rows/test.npz"
GOLDEN = "hand_off/golden.json"
FEATURE_STORE = "hand_off/feature_store.json"
"""Only with versions that were trained on a feature store."""


@dataclass(frozen=True)
class HoldOutScores:
    """The scores of a version on its hold-out rows, so that two versions are compared without reading data again.

    `hashes`: [n] of the rows, see `rows.row_hashes`. `target`: [n] class codes or values. `scores`: [n, k] or [n].
    `weight`: [n] or None.
    """

    hashes: npt.NDArray[np.uint64]
    target: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None

    def to_bytes(self) -> bytes:
        """As an .npz without pickle."""
        arrays = {"hashes": self.hashes, "target": self.target, "scores": self.scores}
        if self.weight is not None:
            arrays["weight"] = self.weight
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Reads what `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            return cls(held["hashes"], held["target"], held["scores"], held.get("weight"))
