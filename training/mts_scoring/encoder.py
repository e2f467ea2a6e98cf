"""Turns raw columns into the one float32 matrix that a model reads: the same code in training and in scoring."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .blocks import Block, CategoryBlock, NumberBlock, OneHotBlock, ScaledBlock, TimeBlock, block_from_state
from .columns import Feature, InputError, check_columns, shown

Style = Literal["tree", "linear"]

TREE_CATEGORIES = 254
"""Kept categories of a column for trees. With the shared code that is 255, the most that histogram trees take."""
LINEAR_CATEGORIES = 100
"""Kept categories of a column for linear models: each is a column of the matrix."""
LINEAR_MIN_ROWS = 5
"""A category with fewer training rows shares the infrequent column: its own coefficient would be noise."""
LINEAR_MAX_ONE_HOT = 4000
"""One-hot columns over all features; where a table has very many categorical columns each keeps fewer categories."""


class TableEncoder:
    """Raw columns to a matrix, with everything that was learnt from the training rows.

    Two styles:

    * `tree`: numbers as they are, category codes for native categorical splits, missing is NaN. The most frequent
      categories keep codes of their own, the rest share one; a category that training never saw gets the shared code,
      or counts as missing where training had no rest.
    * `linear`: numbers with the median for missing, an indicator where training had missing values, standardised;
      categories one-hot with an infrequent column.

    A time becomes year, month, day of the week, hour (those that vary in training) and days since the first training
    row. Immutable after `fit`; safe to use from several threads; its state is JSON.
    """

    def __init__(self, style: Style, blocks: Sequence[Block]) -> None:
        self.style = style
        self._blocks = tuple(blocks)
        self.columns = tuple(block.name for block in blocks)
        """Raw columns that are read."""
        self.names = tuple(name for block in blocks for name in block.outputs)
        """Names of the columns of the matrix."""
        self.sources = tuple(block.name for block in blocks for _ in block.outputs)
        """For each column of the matrix the raw column that it comes from."""
        self.is_categorical = tuple(isinstance(block, CategoryBlock) for block in blocks for _ in block.outputs)
        """For each column of the matrix whether it holds category codes."""

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        features: Iterable[Feature],
        *,
        style: Style = "tree",
        max_categories: int | None = None,
    ) -> Self:
        """Learns categories and scales from the training rows.

        Raises:
            InputError: a column is missing, or holds values that do not fit its kind.
        """
        wanted = tuple(features)
        check_columns(frame, (feature.name for feature in wanted))
        if style == "linear":
            categorical = sum(feature.kind == "categorical" for feature in wanted)
            cap = min(max_categories or LINEAR_CATEGORIES, max(2, LINEAR_MAX_ONE_HOT // max(1, categorical)))
        else:
            cap = max_categories or TREE_CATEGORIES
        return cls(style, [_fit_block(frame[feature.name], feature, style, cap) for feature in wanted])

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The matrix of the frame, [n, len(self.names)], in column-major order.

        Columns are written one by one into the one matrix, so that nothing of the frame is copied beside it.

        Raises:
            InputError: names the column and the value that cannot be encoded.
        """
        check_columns(frame, self.columns)
        matrix = np.empty((len(frame), len(self.names)), dtype=np.float32, order="F")
        start = 0
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which is refused below
            for block in self._blocks:
                stop = start + len(block.outputs)
                block.write(frame[block.name], matrix[:, start:stop])
                start = stop
        if np.isinf(matrix).any():
            raise self._infinite(frame, matrix)
        return matrix

    def _infinite(self, frame: pd.DataFrame, matrix: npt.NDArray[np.float32]) -> InputError:
        row, column = np.argwhere(np.isinf(matrix))[0]
        source = self.sources[column]
        return InputError(
            f"column {source!r} should hold finite numbers up to 3.4e38, not {shown(frame[source].iloc[row])}"
        )

    def state(self) -> dict[str, Any]:
        """What `from_state` needs, as JSON types."""
        return {"style": self.style, "columns": [block.state() for block in self._blocks]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The encoder whose `state` that was."""
        return cls(state["style"], [block_from_state(column) for column in state["columns"]])

    def save(self, path: Path) -> None:
        """Writes the state as JSON."""
        path.write_text(json.dumps(self.state(), ensure_ascii=False, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls.from_state(json.loads(path.read_text(encoding="utf-8")))


def _fit_block(values: pd.Series[Any], feature: Feature, style: Style, max_categories: int) -> Block:
    block: Block
    if feature.kind == "categorical":
        if style == "tree":
            return CategoryBlock.fit(feature.name, values, max_categories, min_rows=1)
        return OneHotBlock.fit(feature.name, values, max_categories, min_rows=LINEAR_MIN_ROWS)
    if feature.kind in {"numeric", "boolean"}:
        block = NumberBlock(feature.name, feature.kind)
    elif feature.kind == "datetime":
        block = TimeBlock.fit(feature.name, values)
    else:
        raise InputError(f"column {feature.name!r}: a model cannot read a column of kind {feature.kind!r}")
    return block if style == "tree" else ScaledBlock.fit(block, values)
