"""The one way in which a value of the target becomes the name of a class."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd


def class_label(value: Any) -> str:
    """The canonical text of a label: text as it is, "true"/"false", 1 and 1.0 both "1", times in ISO 8601.

    Whole floats lose their ".0" because a missing value elsewhere in the column is what made them floats.

    Raises:
        ValueError: the value is missing.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if pd.isna(value):
        raise ValueError("a missing value has no label")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)
