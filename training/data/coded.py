"""Texts held as codes, as Parquet stores those that recur: less to hold, to check and to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def is_text(kind: Any) -> bool:
    """Whether a column of an Arrow type holds texts, as they are or as codes."""
    kind = uncoded(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def uncoded(kind: Any) -> Any:
    """The Arrow type of the values, however they are held."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def decoded(table: Any) -> Any:
    """The pyarrow.Table with every text as it is."""
    if not any(pa.types.is_dictionary(kind) for kind in table.schema.types):
        return table
    return table.cast(pa.schema([field.with_type(uncoded(field.type)) for field in table.schema]))


def with_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Puts the texts in place of their codes, into the frame itself; every row with a text has the same object."""
    for name in frame.columns[[isinstance(kind, pd.CategoricalDtype) for kind in frame.dtypes]]:
        codes = frame[name].cat
        # the code of what is missing is -1: the last one
        texts = np.append(codes.categories.to_numpy(dtype=object), [None])
        frame[name] = texts[codes.codes.to_numpy()]
    return frame
