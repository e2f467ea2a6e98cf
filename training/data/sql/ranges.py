"""Ranges of a column, for reading a table in parts side by side."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from dataclasses import dataclass
from typing import Any

from training.data.sql.database import Selection
from training.errors import DataError


@dataclass(frozen=True)
class Bounds:
    """Values from `low` on and below `high`; None for no bound. Rows without a value belong to the first range."""

    low: Any
    high: Any


def ranges(low: Any, high: Any, selection: Selection) -> list[Bounds]:
    """Ranges of equal width from the smallest to the largest value, in their order; together they hold every row.

    Raises:
        DataError: the column holds neither numbers nor times.
    """
    count = selection.source.partitions
    if low is None or low == high:
        return [Bounds(None, None)]
    if not isinstance(low, int | float | decimal.Decimal | dt.date) or isinstance(low, bool):
        field = f"{selection.field}.partition_column"
        reason = f"holds neither numbers nor times, but {type(low).__name__}"
        raise DataError.at(field, selection.source.partition_column, reason, hint="Name another column, or none.")
    if isinstance(low, float) and not (math.isfinite(low) and math.isfinite(high)):
        return [Bounds(None, None)]
    cuts = sorted({low + _share(high - low, number, count) for number in range(1, count)} - {low})
    return [Bounds(one, other) for one, other in zip([None, *cuts], [*cuts, None], strict=True)]


def _share(width: Any, number: int, count: int) -> Any:
    return width * number // count if isinstance(width, int) else width * number / count
