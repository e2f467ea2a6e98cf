"""Feature values for rows, each as of the time of its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from training.data.features.repository import EVENT_TIME, FeatureRepository, Wanted
from training.errors import DataError, SpecError, nearest

_ROW = "mts_row"


def with_history(
    table: Any,
    repository: FeatureRepository,
    views: Sequence[Wanted],
    time_column: str,
    field: str,
    *,
    full_names: bool,
) -> Any:
    """The canonical pyarrow.Table of the entities with a column for each feature, rows in the same order.

    Each view is asked on its own, for the different keys and times that there are, and what it does not answer is
    missing: Feast's file store leaves a row out altogether when one view knows it at later times only, and one of two
    rows with the same key and time.

    Raises:
        SpecError: the entities lack a column.
        DataError: a row without key or time, or a feature that the entities have too.
    """
    times = _times(table, time_column, f"{field}.timestamp_column")
    for wanted in views:
        keys = sorted({*repository.join_keys(wanted), *repository.request_columns(wanted)})
        rows, place = _different(table, keys, times, field)
        answer = repository.values(wanted, rows, full_names=full_names)
        found = np.full(len(rows), -1)
        found[answer[_ROW].to_numpy()] = np.arange(answer.num_rows)
        taken = found[place]
        positions = pa.array(np.maximum(taken, 0), mask=taken < 0)
        for name in wanted.names:
            column = f"{wanted.name}__{name}" if full_names else name
            if column in table.column_names:
                hint = "Rename the column at the source, or set full_feature_names: true."
                raise DataError.at(f"{field}.features", column, f"there is a column {column!r} already", hint=hint)
            table = table.append_column(column, answer[column].take(positions))
    return table


def _times(table: Any, name: str, field: str) -> pd.Series[Any]:
    if name not in table.column_names:
        raise SpecError.at(field, name, f"the entities have no such column{nearest(name, table.column_names)}")
    column = table[name]
    if not pa.types.is_timestamp(column.type):
        hint = "Write times in ISO 8601, such as 2024-05-31T12:00:00Z."
        raise DataError.at(field, name, f"column {name!r} holds {column.type}, not times", hint=hint)
    if column.null_count:
        reason = f"{column.null_count:,} rows have no time in {name!r}"
        raise DataError.at(field, name, reason, hint="Fill them in, or leave these rows out.")
    return pd.Series(column.to_numpy().astype("datetime64[ns]")).dt.tz_localize("UTC")


def _different(
    table: Any, keys: Sequence[str], times: pd.Series[Any], field: str
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """The different keys and times, numbered, and for each row of the table the number of its own."""
    columns: dict[str, Any] = {}
    for key in keys:
        if key not in table.column_names:
            close = nearest(key, table.column_names)
            raise SpecError.at(f"{field}.entities", key, f"the features need a column {key!r} of the entities{close}")
        if table[key].null_count:
            reason = f"{table[key].null_count:,} rows have no {key!r}, by which the features are found"
            raise DataError.at(f"{field}.entities", key, reason, hint="Fill it in, or leave these rows out.")
        columns[key] = table[key].to_pandas()
    frame = pd.DataFrame({**columns, EVENT_TIME: times})
    place = frame.groupby(list(frame.columns), sort=False).ngroup().to_numpy().astype(np.int64)
    rows = frame.drop_duplicates(ignore_index=True)
    return rows.assign(**{_ROW: np.arange(len(rows))}), place
