"""Turns raw columns into the arrays that a neural network reads: the same code in training and in scoring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .blocks import Block, CategoryBlock, NumberBlock, TimeBlock
from .columns import Feature, InputError, check_columns
from .encoder import TableEncoder

Scaling = Literal["robust", "quantile"]
Floats = npt.NDArray[np.float64]

MAX_CATEGORIES = 4096
"""Kept categories of a column; the rest, the rarest, share one code."""
MIN_CATEGORY_ROWS = 2
"""A category with fewer training rows shares the code of the rest: nothing can be learnt of it alone."""
ROWS_PER_QUANTILE = 30
MIN_QUANTILES, MAX_QUANTILES = 10, 1000


class NetworkInputs(NamedTuple):
    """Encoded rows: `numbers` [n, numbers] float32, scaled; `flags` [n, flags] float32 in [-1, 1], two-valued columns
    and indicators of what was missing; `categories` [n, columns] int64 codes."""

    numbers: npt.NDArray[np.float32]
    flags: npt.NDArray[np.float32]
    categories: npt.NDArray[np.int64]


@dataclass(frozen=True)
class RobustScale:
    """Robust scaling with smooth clipping (Holzmüller, Grinsztajn, Steinwart 2024, arXiv:2407.04491, section 3):

    x' = s (x - median), s = 1 / (q75 - q25), or 2 / (max - min) where the quartiles are equal;
    x'' = x' / sqrt(1 + (x' / 3)^2), which lies in (-3, 3).
    """

    center: float
    scale: float

    @classmethod
    def fit(cls, numbers: Floats) -> Self:
        """Learns from finite numbers, at least two of them different."""
        low, first, median, third, high = np.quantile(numbers, [0.0, 0.25, 0.5, 0.75, 1.0])
        scale = 1.0 / (third - first) if third > first else 2.0 / (high - low)
        return cls(float(median), float(scale))

    def apply(self, numbers: Floats) -> Floats:
        """Scales; a missing number becomes 0, the median."""
        scaled = (numbers - self.center) * self.scale
        clipped = scaled / np.sqrt(1.0 + np.square(scaled / 3.0))
        return np.nan_to_num(clipped, nan=0.0)


@dataclass(frozen=True)
class QuantileScale:
    """Maps quantiles to those of the normal distribution, as Gorishniy et al. 2021 (arXiv:2106.11959, section 4.3) do.

    The map is linear between `knots`. A value that fills several quantiles gets the mean of their normal scores, where
    they break such ties by noise. What lies outside the training range gets the score of its nearest end.
    """

    knots: tuple[float, ...]
    scores: tuple[float, ...]
    missing: float

    @classmethod
    def fit(cls, numbers: Floats) -> Self:
        """Learns from finite numbers."""
        count = int(np.clip(len(numbers) // ROWS_PER_QUANTILE, MIN_QUANTILES, MAX_QUANTILES))
        shares = np.linspace(0.0, 1.0, count)
        normal = NormalDist()
        scores = np.array([normal.inv_cdf(min(max(share, 0.5 / count), 1.0 - 0.5 / count)) for share in shares])
        knots, place = np.unique(np.quantile(numbers, shares), return_inverse=True)
        means = np.bincount(place, weights=scores) / np.bincount(place)
        missing = float(np.interp(np.median(numbers), knots, means))
        return cls(tuple(knots.tolist()), tuple(means.tolist()), missing)

    def apply(self, numbers: Floats) -> Floats:
        """Scales; a missing number becomes the score of the median."""
        scaled: Floats = np.interp(numbers, self.knots, self.scores)
        return np.where(np.isnan(numbers), self.missing, scaled)


_SCALES: dict[str, type[RobustScale | QuantileScale]] = {"robust": RobustScale, "quantile": QuantileScale}


@dataclass(frozen=True)
class _Flag:
    """A column with two values in training: -1 and 1, 0 for missing; what is new is put at the nearer end."""

    low: float
    high: float

    def apply(self, numbers: Floats) -> Floats:
        scaled = (numbers - self.low) / (self.high - self.low) * 2.0 - 1.0
        return np.nan_to_num(np.clip(scaled, -1.0, 1.0), nan=0.0)


@dataclass(frozen=True)
class _Column:
    """What becomes of one column of the table's matrix: `scale` None where training had a single value."""

    scale: RobustScale | QuantileScale | _Flag | None
    has_missing: bool


class NetworkEncoder:
    """Raw columns to the arrays of a network, with everything that was learnt from the training rows.

    * A number is scaled (`robust` or `quantile`); missing becomes the median, beside an indicator where training had
      missing values. A column with two values, a boolean too, is a flag; a constant one says nothing and is dropped.
    * A category has a code; after the codes of the kept categories come one for all others and one for missing.
      `category_shares` says how often training had each code, 0 for one that it never had.
    * A time becomes calendar parts and days, see TableEncoder, and these are numbers.

    Immutable after `fit`; safe to use from several threads; its state is JSON.
    """

    def __init__(
        self, scaling: Scaling, table: TableEncoder, columns: Sequence[_Column], shares: Sequence[Sequence[float]]
    ) -> None:
        self.scaling = scaling
        self._table = table
        self._columns = tuple(columns)
        self.category_shares = tuple(tuple(column) for column in shares)
        is_categorical = np.array(table.is_categorical, dtype=bool)
        self._categorical = np.flatnonzero(is_categorical)
        self._numeric = np.flatnonzero(~is_categorical)
        self.num_numbers = sum(isinstance(column.scale, RobustScale | QuantileScale) for column in self._columns)
        self.num_flags = sum(isinstance(column.scale, _Flag) + column.has_missing for column in self._columns)

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: Iterable[Feature], *, scaling: Scaling) -> Self:
        """Learns categories and scales from the training rows.

        Raises:
            InputError: a column is missing, or holds values that do not fit its kind.
        """
        wanted = tuple(features)
        check_columns(frame, (feature.name for feature in wanted))
        table = TableEncoder("tree", [_block(frame[feature.name], feature) for feature in wanted])
        matrix = table.transform(frame)
        encoder = cls(scaling, table, [], [])
        columns = [_fit_column(matrix[:, place].astype(np.float64), scaling) for place in encoder._numeric]
        if not len(encoder._categorical) and all(column.scale is None and not column.has_missing for column in columns):
            raise InputError("no column varies in the training rows: there is nothing that a network could learn from")
        codes = encoder._codes(matrix, _cardinalities(table))
        shares = [
            np.bincount(codes[:, place], minlength=cardinality) / max(1, len(codes))
            for place, cardinality in enumerate(_cardinalities(table))
        ]
        return cls(scaling, table, columns, [column.tolist() for column in shares])

    def transform(self, frame: pd.DataFrame) -> NetworkInputs:
        """The arrays of the frame.

        Raises:
            InputError: names the column and the value that cannot be encoded.
        """
        matrix = self._table.transform(frame)
        numbers = np.empty((len(matrix), self.num_numbers), dtype=np.float32)
        flags = np.empty((len(matrix), self.num_flags), dtype=np.float32)
        number = flag = 0
        for column, place in zip(self._columns, self._numeric, strict=True):
            values = matrix[:, place].astype(np.float64)
            if isinstance(column.scale, _Flag):
                flags[:, flag] = column.scale.apply(values)
                flag += 1
            elif column.scale is not None:
                numbers[:, number] = column.scale.apply(values)
                number += 1
            if column.has_missing:
                flags[:, flag] = np.isnan(values)
                flag += 1
        return NetworkInputs(numbers, flags, self._codes(matrix, [len(column) for column in self.category_shares]))

    def _codes(self, matrix: npt.NDArray[np.float32], cardinalities: Sequence[int]) -> npt.NDArray[np.int64]:
        chosen = matrix[:, self._categorical]
        missing = np.array(cardinalities, dtype=np.float32) - 1.0
        return np.where(np.isnan(chosen), missing, chosen).astype(np.int64)

    def state(self) -> dict[str, Any]:
        """All that was learnt, as JSON types."""
        columns = [
            {"missing": column.has_missing, "scale": None if column.scale is None else vars(column.scale)}
            for column in self._columns
        ]
        return {
            "scaling": self.scaling, "table": self._table.state(), "columns": columns, "shares": self.category_shares,
        }  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes the state as JSON."""
        path.write_text(json.dumps(self.state(), ensure_ascii=False, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        state = json.loads(path.read_text(encoding="utf-8"))
        columns = [_Column(_scale_from_state(column["scale"]), column["missing"]) for column in state["columns"]]
        return cls(state["scaling"], TableEncoder.from_state(state["table"]), columns, state["shares"])


def _block(values: pd.Series[Any], feature: Feature) -> Block:
    if feature.kind == "categorical":
        kept = CategoryBlock.fit(feature.name, values, MAX_CATEGORIES, MIN_CATEGORY_ROWS).categories
        return CategoryBlock(feature.name, kept, has_other=True)
    if feature.kind in {"numeric", "boolean"}:
        return NumberBlock(feature.name, feature.kind)
    if feature.kind == "datetime":
        return TimeBlock.fit(feature.name, values)
    raise InputError(f"column {feature.name!r}: a model cannot read a column of kind {feature.kind!r}")


def _cardinalities(table: TableEncoder) -> list[int]:
    """Codes of each categorical column: its categories, the rest, missing."""
    return [
        len(column["categories"]) + 2 for column in table.state()["columns"] if column["type"] == CategoryBlock.type
    ]


def _fit_column(values: Floats, scaling: Scaling) -> _Column:
    present = values[~np.isnan(values)]
    has_missing = 0 < len(present) < len(values)
    distinct = np.unique(present)
    if len(distinct) < 2:
        return _Column(None, has_missing)
    if len(distinct) == 2:
        return _Column(_Flag(float(distinct[0]), float(distinct[1])), has_missing)
    return _Column(_SCALES[scaling].fit(present), has_missing)


def _scale_from_state(state: dict[str, Any] | None) -> RobustScale | QuantileScale | _Flag | None:
    if state is None:
        return None
    if "low" in state:
        return _Flag(**state)
    if "knots" in state:
        return QuantileScale(tuple(state["knots"]), tuple(state["scores"]), state["missing"])
    return RobustScale(**state)
