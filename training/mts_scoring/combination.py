"""How the scores of several models become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]

SMALLEST = 1e-9
"""Probabilities are kept this far from 0 before a logarithm: a single sure and wrong member must not decide alone."""


@dataclass(frozen=True)
class Combination:
    """A weighted mean of the scores, or of their logarithms.

    * `mean`: sum of weight times score, plus `bias` for regression.
    * `log`: softmax of the sum of weight times log probability, plus `bias` of each class (a logarithmic opinion pool,
      Genest and Zidek 1986, doi:10.1214/ss/1177013825, with weights that need not sum to one).
    """

    kind: Literal["mean", "log"]
    weights: tuple[float, ...]
    bias: tuple[float, ...] = ()

    def apply(self, scores: Sequence[Scores]) -> Scores:
        """One score from one of each model; [n, classes] probabilities, or [n] values."""
        if self.kind == "mean":
            total = sum(weight * score for weight, score in zip(self.weights, scores, strict=True))
            values: Scores = np.asarray(total) + (np.asarray(self.bias) if self.bias else 0.0)
            return values if values.ndim == 1 else normalized(values)
        logits = sum(weight * log_of(score) for weight, score in zip(self.weights, scores, strict=True))
        return softmax(np.asarray(logits) + np.asarray(self.bias))

    def only(self, kept: Sequence[int]) -> Combination:
        """The combination of some of the models; the others must have weight 0."""
        return Combination(self.kind, tuple(self.weights[place] for place in kept), self.bias)

    def state(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": self.kind, "weights": list(self.weights), "bias": list(self.bias)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The combination whose state that was."""
        return cls(state["kind"], tuple(state["weights"]), tuple(state["bias"]))


def normalized(scores: Scores) -> Scores:
    """Rows that sum to one; a row without any probability becomes uniform."""
    sums = scores.sum(axis=1, keepdims=True)
    return np.where(sums > 0, scores / np.where(sums > 0, sums, 1.0), 1.0 / scores.shape[1])


def log_of(scores: Scores) -> Scores:
    """Logarithms of probabilities, none of which is taken for impossible."""
    return np.log(np.clip(scores, SMALLEST, None))


def softmax(logits: Scores) -> Scores:
    """Probabilities, [n, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(logits) else logits
    probabilities: Scores = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
