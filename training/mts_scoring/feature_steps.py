"""Columns that are made from raw ones, with what training taught about their categories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .reading import read_labels, read_numbers

Numbers = npt.NDArray[np.float64]


class FeatureStep(ABC):
    """Makes numeric columns of raw columns. Immutable; safe to use from several threads; its state is JSON."""

    type: ClassVar[str]
    uses_target: ClassVar[bool] = False
    """Whether it holds something of the target, so that train rows need it from rows other than themselves."""
    sources: tuple[str, ...]
    """The raw columns."""
    outputs: tuple[str, ...]
    """Names of the new columns."""

    @abstractmethod
    def apply(self, frame: pd.DataFrame) -> Numbers:
        """[n, len(outputs)] of a frame with the sources.

        Raises:
            InputError: a source holds what has no label, or is no number.
        """

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
        self.sources, self.outputs = (source,), tuple(outputs)
        self._table = dict(table)
        self._other = tuple(other)

    def apply(self, frame: pd.DataFrame) -> Numbers:
        """Looks the labels up."""
        return looked_up(frame[self.sources[0]], self.sources[0], self._table, self._other)

    def state(self) -> dict[str, Any]:
        """The table."""
        return {
            "type": self.type, "source": self.sources[0], "outputs": list(self.outputs),
            "table": {label: list(line) for label, line in self._table.items()}, "other": list(self._other),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The step whose state that was."""
        return cls(state["source"], state["outputs"], state["table"], state["other"])


class TargetEncoding(LookupStep):
    """The mean of the target in a category, drawn towards the mean of all."""

    type = "target_encoding"
    uses_target = True


class CountEncoding(LookupStep):
    """The logarithm of how often training had a category."""

    type = "counts"


class CrossEncoding(FeatureStep):
    """The mean of the target in a pair of categories of two columns, drawn towards the mean of all."""

    type = "crosses"
    uses_target = True

    def __init__(self, sources: Sequence[str], outputs: Sequence[str],
                 table: Mapping[str, Mapping[str, Sequence[float]]], other: Sequence[float]) -> None:  # fmt: skip
        """Takes the numbers by the label of the first source, then by that of the second."""
        self.sources, self.outputs = tuple(sources), tuple(outputs)
        self._table = {first: dict(lines) for first, lines in table.items()}
        self._other = tuple(other)

    def apply(self, frame: pd.DataFrame) -> Numbers:
        """Looks the pairs up; one that training never had, or with a missing part, gets the mean of all."""
        (codes, labels), (others, second) = (read_labels(frame[name], name) for name in self.sources)
        pairs, place = np.unique(np.stack([codes, others]), axis=1, return_inverse=True)
        lines = [
            self._other if one < 0 or two < 0 else self._table.get(labels[one], {}).get(second[two], self._other)
            for one, two in pairs.T.tolist()
        ]
        return np.array(lines, dtype=np.float64).reshape(-1, len(self.outputs))[place.reshape(-1)]

    def state(self) -> dict[str, Any]:
        """The table."""
        return {
            "type": self.type, "sources": list(self.sources), "outputs": list(self.outputs), "table": self._table,
            "other": list(self._other),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The step whose state that was."""
        return cls(state["sources"], state["outputs"], state["table"], state["other"])


class GroupDeviation(FeatureStep):
    """By how much a number differs from the mean of those of its category, which is drawn towards the mean of all."""

    type = "aggregates"

    def __init__(self, sources: Sequence[str], output: str, means: Mapping[str, float], other: float) -> None:
        """Takes the column of categories, that of numbers, and the mean of each category."""
        self.sources, self.outputs = tuple(sources), (output,)
        self._means = dict(means)
        self._other = other

    def apply(self, frame: pd.DataFrame) -> Numbers:
        """The differences; NaN where the number is missing."""
        group, value = self.sources
        lines = {label: (mean,) for label, mean in self._means.items()}
        numbers = read_numbers(frame[value], value).astype(np.float64)[:, None]
        return numbers - looked_up(frame[group], group, lines, (self._other,))

    def state(self) -> dict[str, Any]:
        """The means."""
        return {
            "type": self.type, "sources": list(self.sources), "output": self.outputs[0], "means": self._means,
            "other": self._other,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The step whose state that was."""
        return cls(state["sources"], state["output"], state["means"], state["other"])


def looked_up(
    values: pd.Series[Any], name: str, table: Mapping[str, Sequence[float]], other: Sequence[float]
) -> Numbers:
    """[n, numbers] of each label; `other` for labels that are not there and for missing values.

    Raises:
        InputError: a value has no label.
    """
    codes, labels = read_labels(values, name)
    # the last line is for missing values, whose code is -1
    lines = np.array([*(table.get(label, other) for label in labels), other], dtype=np.float64)
    return lines.reshape(-1, len(other))[codes]


STEPS: dict[str, type[FeatureStep]] = {
    step.type: step for step in (TargetEncoding, CountEncoding, CrossEncoding, GroupDeviation)
}


def with_steps(frame: pd.DataFrame, steps: Sequence[FeatureStep]) -> pd.DataFrame:
    """The frame with the columns of the steps.

    Raises:
        InputError: a column holds what has no label, or no number.
    """
    added = {name: values for step in steps for name, values in zip(step.outputs, step.apply(frame).T, strict=True)}
    return pd.concat([frame, pd.DataFrame(added, index=frame.index)], axis=1)
