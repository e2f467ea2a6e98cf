"""What a version is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from training.mts_scoring.model import ScoringModel
from training.registry.rows import RowHashes
from training.result import GateVerdict, Interval


@dataclass(frozen=True)
class NewVersion:
    """A model that is to be registered.

    `sample`: some raw rows with the model's features, for the input example. `metrics`: on the hold-out rows.
    `lineage`: further facts, by name. `row_hashes`: `rows.row_hashes` of the rows that the model was fitted on, over
    its features and its target. `verdict`: what the gate says; `gate.apply` carries it out. `files`: kept with the
    version, by path; see `files.py`.
    """

    model: ScoringModel
    sample: pd.DataFrame
    metrics: Mapping[str, Interval]
    lineage: Mapping[str, str]
    row_hashes: RowHashes
    verdict: GateVerdict | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
