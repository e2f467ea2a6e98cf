"""What ties the rows of a job together, for the inner splits of a fit."""

from __future__ import annotations

import numpy as np

from training.data.splitting import gap_of, group_codes, time_values
from training.models import Structure
from training.pipeline.prepare import Checked
from training.spec import TrainSpec


def structure_of(checked: Checked, spec: TrainSpec) -> Structure:
    """The groups and times of the train, then the validation rows, as far as the split of the job obeys them."""
    frame, split = checked.dataset.frame, checked.split
    rows = np.concatenate([split.train, split.validation])
    groups = None if spec.data.group_column is None else group_codes(frame[spec.data.group_column].iloc[rows])
    times, gap = None, 0.0
    if split.strategy == "time" and spec.data.time_column is not None:
        values = frame[spec.data.time_column].iloc[rows]
        times, gap = time_values(values), gap_of(spec.split, values)
    fixed = False
    if split.strategy == "predefined" and spec.split.column is not None:
        parts = frame[spec.split.column]
        # validation rows that the caller did not name were taken from the rows that he calls train
        fixed = not set(parts.iloc[split.validation]) & set(parts.iloc[split.train])
    return Structure(groups=groups, times=times, fixed=fixed, gap=gap, rolling=spec.split.window == "rolling")
