"""Many tests at once: which of them found something, with the share of false ones among them bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def q_values(p_values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p-values, [n] (1995, "Controlling the False Discovery Rate").

    To call found what has a q-value of at most alpha bounds the expected share of false findings by alpha, and, where
    there is nothing to find, the probability of any finding.
    """
    given = np.asarray(p_values, dtype=np.float64)
    if not len(given):
        return given
    order = np.argsort(given)
    scaled = given[order] * len(given) / np.arange(1, len(given) + 1)
    adjusted = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    found = np.empty_like(adjusted)
    found[order] = adjusted
    return found
