"""Reads the columns of a frame for a model of many parts, each of which would read them for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from .columns import Feature
from .reading import read_booleans, read_labels, read_numbers
from .times import read_times

FEW_ROWS = 64
"""Up to so many rows the parts read plain values faster than typed columns can be made."""
MOST_ROWS = 65_536
"""That are read at once: each part looks all categories of these rows up for each of its own batches, and a multiple of
those, so that no batch is cut otherwise."""


def read_once(frame: pd.DataFrame, features: Iterable[Feature]) -> Iterator[pd.DataFrame]:
    """The features as typed columns, which every part reads fast, and as what it would have read from the raw ones; in
    pieces of MOST_ROWS.

    Raises:
        InputError: a value does not fit the kind of its column.
    """
    wanted = tuple(features)
    for start in range(0, len(frame), MOST_ROWS):
        piece = frame.iloc[start : start + MOST_ROWS]
        columns = {feature.name: _read(piece[feature.name], feature) for feature in wanted}
        yield pd.DataFrame(columns, index=piece.index, copy=False)


def _read(values: pd.Series[Any], feature: Feature) -> Any:
    if feature.kind == "numeric":
        return read_numbers(values, feature.name)
    if feature.kind == "boolean":
        return read_booleans(values, feature.name)
    if feature.kind == "datetime":
        return read_times(values, feature.name)
    codes, labels = read_labels(values, feature.name)
    # two values may have one label, such as 1 and 1.0; -1 stands for missing
    distinct = dict.fromkeys(labels)
    if len(distinct) < len(labels):
        places = {label: place for place, label in enumerate(distinct)}
        codes = np.array([*(places[label] for label in labels), -1], dtype=np.intp)[codes]
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(distinct), dtype=object), validate=False)
