"""What ties the rows of a job together, for the inner splits of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.models import Structure
from training.pipeline.prepare import Checked
from training.spec import TrainSpec


def structure_of(checked: Checked, spec: TrainSpec) -> Structure:
    """The groups and times of the train, then the validation rows, as far as the split of the job obeys them."""
    frame, split = checked.dataset.frame, checked.split
    rows = np.concatenate([split.train, split.validation])
    groups = None if spec.data.group_column is None else _groups(frame[spec.data.group_column].iloc[rows])
    times = None
    if split.strategy == "time" and spec.data.time_column is not None:
        times = _ranks(frame[spec.data.time_column].iloc[rows])
    fixed = False
    if split.strategy == "predefined" and spec.split.column is not None:
        parts = frame[spec.split.column]
        # validation rows that the caller did not name were taken from the rows that he calls train
        fixed = not set(parts.iloc[split.validation]) & set(parts.iloc[split.train])
    return Structure(groups=groups, times=times, fixed=fixed)


def _groups(values: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """Codes; a row without a group is a group of its own."""
    codes = pd.factorize(values)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    return codes


def _ranks(values: pd.Series[Any]) -> npt.NDArray[np.int64]:
    return pd.factorize(values, sort=True)[0].astype(np.int64)
