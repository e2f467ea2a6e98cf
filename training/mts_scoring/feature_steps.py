"""Columns that are made from categorical ones, with what training taught about their categories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .reading import read_labels


class FeatureStep(ABC):
    """Makes numeric columns of one raw column. Immutable; safe to use from several threads; its state is JSON."""

    type: ClassVar[str]
    source: str
    """The raw column."""
    outputs: tuple[str, ...]
    """Names of the new columns."""

    @abstractmethod
    def apply(self, values: pd.Series[Any]) -> npt.NDArray[np.float64]:
        """[n, len(outputs)]."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """As JSON types, with "type"."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The step whose state that was."""


class LookupStep(FeatureStep):
    """A table from label to numbers; what is not there, and what is missing, gets numbers of its own."""

    def __init__(self, source: str, outputs: Sequence[str], table: Mapping[str, Sequence[float]],
                 other: Sequence[float]) -> None:  # fmt: skip
        self.source, self.outputs = source, tuple(outputs)
        self._table = dict(table)
        self._other = tuple(other)

    def apply(self, values: pd.Series[Any]) -> npt.NDArray[np.float64]:
        """Looks the labels up."""
        codes, labels = read_labels(values, self.source)
        # the last line is for missing values, whose code is -1
        lines = np.array([*(self._table.get(label, self._other) for label in labels), self._other], dtype=np.float64)
        return lines.reshape(-1, len(self.outputs))[codes]

    def state(self) -> dict[str, Any]:
        """The table."""
        return {
            "type": self.type, "source": self.source, "outputs": list(self.outputs),
            "table": {label: list(line) for label, line in self._table.items()}, "other": list(self._other),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The step whose state that was."""
        return cls(state["source"], state["outputs"], state["table"], state["other"])


class TargetEncoding(LookupStep):
    """The mean of the target in a category, drawn towards the mean of all."""

    type = "target_encoding"


class CountEncoding(LookupStep):
    """The logarithm of how often training had a category."""

    type = "counts"


STEPS: dict[str, type[FeatureStep]] = {step.type: step for step in (TargetEncoding, CountEncoding)}


def with_steps(frame: pd.DataFrame, steps: Sequence[FeatureStep]) -> pd.DataFrame:
    """The frame with the columns of the steps.

    Raises:
        InputError: a column holds what has no label.
    """
    added = {
        name: values
        for step in steps
        for name, values in zip(step.outputs, step.apply(frame[step.source]).T, strict=True)
    }
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
