"""How one raw column becomes one or several columns of the matrix; see TableEncoder for what each style does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .reading import read_booleans, read_categories, read_labels, read_numbers
from .times import read_times

Matrix = npt.NDArray[np.float32]


class Block(ABC):
    """One raw column. Immutable; safe to use from several threads."""

    type: ClassVar[str]
    name: str
    """The raw column."""
    outputs: tuple[str, ...]
    """Names of the columns of the matrix."""

    @abstractmethod
    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Fills `out`, [n, len(outputs)].

        Raises:
            InputError: a value does not fit.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """As JSON types, with "type"."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""


class NumberBlock(Block):
    """A numeric or boolean column as it is."""

    type = "number"

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind, self.outputs = name, kind, (name,)
        self._read = read_booleans if kind == "boolean" else read_numbers

    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Casts to float32."""
        out[:, 0] = self._read(values, self.name)

    def state(self) -> dict[str, Any]:
        """Name and kind."""
        return {"type": self.type, "name": self.name, "kind": self.kind}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""
        return cls(state["name"], state["kind"])


class TimeBlock(Block):
    """A time as calendar parts and days since `origin` (the day of the first training row)."""

    type = "time"
    PARTS = ("year", "month", "weekday", "hour")

    def __init__(self, name: str, parts: tuple[str, ...], origin: str) -> None:
        self.name, self.parts, self.origin = name, parts, origin
        self.outputs = (*(f"{name} {part}" for part in parts), f"{name} days")

    @classmethod
    def fit(cls, name: str, values: pd.Series[Any]) -> Self:
        """Keeps the parts that vary."""
        times = read_times(values, name)
        times = times[~np.isnat(times)]
        parts = tuple(part for part in cls.PARTS if len(np.unique(_calendar_part(times, part))) > 1)
        origin = str(times.min().astype("datetime64[D]")) if len(times) else "1970-01-01"
        return cls(name, parts, origin)

    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Writes the parts, then the days with their fraction; a missing time is NaN in each."""
        times = read_times(values, self.name)
        for column, part in enumerate(self.parts):
            out[:, column] = _calendar_part(times, part)
        out[:, -1] = (times - np.datetime64(self.origin, "us")) / np.timedelta64(1, "D")
        out[np.isnat(times)] = np.nan

    def state(self) -> dict[str, Any]:
        """Parts and origin."""
        return {"type": self.type, "name": self.name, "parts": list(self.parts), "origin": self.origin}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""
        return cls(state["name"], tuple(state["parts"]), state["origin"])


class CategoryBlock(Block):
    """Codes 0, 1, … of the kept categories, one shared code after them for the rest, NaN for missing."""

    type = "category"

    def __init__(self, name: str, categories: tuple[str, ...], *, has_other: bool) -> None:
        self.name, self.categories, self.has_other, self.outputs = name, categories, has_other, (name,)
        self._lookup = {label: float(code) for code, label in enumerate(categories)}
        self._other = float(len(categories)) if has_other else np.nan

    @classmethod
    def fit(cls, name: str, values: pd.Series[Any], max_categories: int, min_rows: int) -> Self:
        """Keeps the most frequent categories, ties by label, and lists them by label."""
        kept, has_other, _ = _frequent(name, values, max_categories, min_rows)
        return cls(name, kept, has_other=has_other)

    def codes(self, values: pd.Series[Any]) -> npt.NDArray[np.float64]:
        """Codes, [n]."""
        return read_categories(values, self.name, self._lookup, self._other)

    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Writes the codes."""
        out[:, 0] = self.codes(values)

    def state(self) -> dict[str, Any]:
        """Categories, and whether training had a rest."""
        return {"type": self.type, "name": self.name, "categories": list(self.categories), "has_other": self.has_other}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""
        return cls(state["name"], tuple(state["categories"]), has_other=state["has_other"])


class OneHotBlock(Block):
    """A column of zeros and ones for each kept category, for the rest, and for missing where training had missing."""

    type = "one_hot"

    def __init__(self, codes: CategoryBlock, *, has_missing: bool) -> None:
        self.name, self._codes, self.has_missing = codes.name, codes, has_missing
        other = [f"{self.name}: infrequent"] if codes.has_other else []
        missing = [f"{self.name}: missing"] if has_missing else []
        self.outputs = (*(f"{self.name}={label}" for label in codes.categories), *other, *missing)

    @classmethod
    def fit(cls, name: str, values: pd.Series[Any], max_categories: int, min_rows: int) -> Self:
        """Keeps the most frequent categories, ties by label, and lists them by label."""
        kept, has_other, has_missing = _frequent(name, values, max_categories, min_rows)
        return cls(CategoryBlock(name, kept, has_other=has_other), has_missing=has_missing)

    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Sets one column of each row; none for what is missing where training had nothing missing."""
        codes = self._codes.codes(values)
        if self.has_missing:
            codes[np.isnan(codes)] = len(self.outputs) - 1
        rows = np.flatnonzero(~np.isnan(codes))
        out[:] = 0.0
        out[rows, codes[rows].astype(np.intp)] = 1.0

    def state(self) -> dict[str, Any]:
        """Categories, and whether training had a rest and missing values."""
        return self._codes.state() | {"type": self.type, "has_missing": self.has_missing}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""
        return cls(CategoryBlock.from_state(state), has_missing=state["has_missing"])


class ScaledBlock(Block):
    """The numbers of another block with the median for missing, standardised, then indicators of what was missing."""

    type = "scaled"

    def __init__(self, inner: Block, scales: list[dict[str, Any]]) -> None:
        self.name, self._inner, self._scales = inner.name, inner, scales
        indicators = (f"{out}: missing" for out, scale in zip(inner.outputs, scales, strict=True) if scale["indicator"])
        self.outputs = (*inner.outputs, *indicators)

    @classmethod
    def fit(cls, inner: Block, values: pd.Series[Any]) -> Self:
        """Learns median, mean and standard deviation of each number."""
        raw = np.empty((len(values), len(inner.outputs)), dtype=np.float32, order="F")
        with np.errstate(over="ignore"):  # TableEncoder.transform refuses what does not fit in float32
            inner.write(values, raw)
        return cls(inner, [_scale(raw[:, column].astype(np.float64)) for column in range(raw.shape[1])])

    def write(self, values: pd.Series[Any], out: Matrix) -> None:
        """Writes the standardised numbers, then the indicators."""
        width = len(self._scales)
        self._inner.write(values, out[:, :width])
        indicator = width
        for column, scale in enumerate(self._scales):
            numbers = out[:, column].astype(np.float64)
            missing = np.isnan(numbers)
            if scale["indicator"]:
                out[:, indicator] = missing
                indicator += 1
            numbers[missing] = scale["median"]
            out[:, column] = (numbers - scale["mean"]) / scale["deviation"]

    def state(self) -> dict[str, Any]:
        """The inner block and its scales."""
        return {"type": self.type, "inner": self._inner.state(), "scales": self._scales}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The block whose state that was."""
        return cls(block_from_state(state["inner"]), state["scales"])


_TYPES: dict[str, type[Block]] = {
    block.type: block for block in (NumberBlock, TimeBlock, CategoryBlock, OneHotBlock, ScaledBlock)
}


def block_from_state(state: dict[str, Any]) -> Block:
    """The block whose state that was."""
    return _TYPES[state["type"]].from_state(state)


def _frequent(
    name: str, values: pd.Series[Any], max_categories: int, min_rows: int
) -> tuple[tuple[str, ...], bool, bool]:
    """Kept labels in order, whether there is a rest, whether there is a missing value."""
    codes, labels = read_labels(values, name)
    counts: Counter[str] = Counter()
    present = codes[codes >= 0]
    for label, count in zip(labels, np.bincount(present, minlength=len(labels)), strict=True):
        counts[label] += int(count)
    seen = sorted((label for label, count in counts.items() if count > 0), key=lambda label: (-counts[label], label))
    kept = [label for label in seen if counts[label] >= min_rows][:max_categories]
    return tuple(sorted(kept)), len(kept) < len(seen), len(present) < len(codes)


def _scale(numbers: npt.NDArray[np.float64]) -> dict[str, Any]:
    missing = np.isnan(numbers)
    finite = numbers[np.isfinite(numbers)]
    median = float(np.median(finite)) if len(finite) else 0.0
    numbers[~np.isfinite(numbers)] = median
    deviation = float(numbers.std()) if len(numbers) else 0.0
    mean = float(numbers.mean()) if len(numbers) else 0.0
    # the spread of a constant column is rounding error; dividing by it would blow up any other value
    constant = deviation <= 1e-10 * max(abs(mean), 1e-300)
    return {
        "median": median, "mean": mean, "deviation": 1.0 if constant else deviation, "indicator": bool(missing.any()),
    }  # fmt: skip


def _calendar_part(times: npt.NDArray[np.datetime64], part: str) -> npt.NDArray[np.int64]:
    """Year, month 1-12, weekday 0-6 from Monday, hour 0-23; anything for NaT."""
    if part == "year":
        return times.astype("datetime64[Y]").astype(np.int64) + 1970
    if part == "month":
        return times.astype("datetime64[M]").astype(np.int64) % 12 + 1
    if part == "weekday":  # 1970-01-01 was a Thursday
        return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return times.astype("datetime64[h]").astype(np.int64) % 24
