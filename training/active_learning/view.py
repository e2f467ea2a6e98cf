"""What a strategy sees: the candidates, the model, the rows that have labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from training.active_learning.committee import members_of
from training.active_learning.rows import Floats, Indices
from training.mts_scoring.columns import Feature
from training.mts_scoring.encoder import TableEncoder
from training.mts_scoring.model import ScoringModel

CHUNK_ROWS = 65_536
"""Rows that are scored at once: bounds the memory beside the pool itself."""
EMBEDDING_CATEGORIES = 20
"""One-hot columns of one raw column in the space in which distances are measured."""


@dataclass(frozen=True)
class View:
    """Candidates for one batch.

    `frame`: [n, columns], raw. `groups`, `costs`: [n], or None. `duplicates`: [n] codes, equal for equal rows.
    `model`: None before the first training. `labelled`: [l, columns] raw rows with labels, `targets`: [l] class codes
    or values. `max_per_group`: rows of one group in a batch.
    """

    frame: pd.DataFrame
    features: tuple[Feature, ...]
    duplicates: Indices
    groups: Indices | None
    costs: Floats | None
    model: ScoringModel | None
    labelled: pd.DataFrame
    targets: Floats
    max_per_group: int
    seed: int

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def scores(self) -> Floats:
        """[n, classes] probabilities, or [n] values."""
        return self.known_model.scores(self.frame)

    @cached_property
    def members(self) -> Floats:
        """[members, n, classes] probabilities, or [members, n] values."""
        return members_of(self.known_model, self.frame)

    @property
    def known_model(self) -> ScoringModel:
        """The model; a strategy that needs one is not asked before there is one."""
        if self.model is None:
            raise ValueError("there is no model yet")
        return self.model

    @cached_property
    def encoder(self) -> TableEncoder:
        """Learnt from candidates and labelled rows: numbers standardised, categories one-hot."""
        rows = pd.concat([self.frame, self.labelled], ignore_index=True) if len(self.labelled) else self.frame
        return TableEncoder.fit(rows, self.features, style="linear", max_categories=EMBEDDING_CATEGORIES)

    @cached_property
    def embedding(self) -> Floats:
        """[n, d]: where the candidates lie; one-hot columns count as much as a number in all."""
        return self._embedded(self.frame)

    @cached_property
    def labelled_embedding(self) -> Floats:
        """[l, d]."""
        return self._embedded(self.labelled) if len(self.labelled) else np.empty((0, len(self.encoder.names)))

    def _embedded(self, frame: pd.DataFrame) -> Floats:
        matrix: Floats = np.clip(self.encoder.transform(frame).astype(np.float64), -5.0, 5.0)
        return matrix

    def at(self, rows: Indices) -> View:
        """The same with some candidates only."""
        part: dict[str, Any] = {
            "frame": self.frame.take(rows).reset_index(drop=True),
            "duplicates": self.duplicates[rows],
            "groups": None if self.groups is None else self.groups[rows],
            "costs": None if self.costs is None else self.costs[rows],
        }
        return replace(self, **part)

    def alone(self) -> View:
        """Without the model and the labelled rows, which scores of single rows do not need: to be sent elsewhere."""
        return replace(self, model=None, labelled=self.labelled.iloc[:0], targets=self.targets[:0])

    def chunks(self) -> Iterator[View]:
        """All candidates in order, a bounded number at a time."""
        for start in range(0, len(self), CHUNK_ROWS):
            yield self.at(np.arange(start, min(start + CHUNK_ROWS, len(self))))
