"""Challenger and champion on the same rows, none of which either was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import Rows
from training.errors import NotFoundError
from training.evaluation import paired_difference
from training.evaluation.delong import delong_difference
from training.mts_scoring.model import InputError, ScoringModel
from training.registry.model import VersionInfo
from training.registry.registry import Registry
from training.registry.rows import row_hashes, unseen
from training.result import GateVerdict, Interval
from training.spec import TrainSpec

MIN_ROWS = 30
"""On fewer common test rows nothing is decided."""
MIN_SAMPLES = 1000
"""Resamples for the gate's own interval, also where the metrics want none."""


@dataclass(frozen=True)
class HoldOut:
    """The challenger's test rows; `frame` has them with every column of the data."""

    rows: Rows
    frame: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Scores of both models on the rows of the hold-out that the champion was not fitted on."""

    task: str
    metric: str
    rows: Rows
    new: npt.NDArray[np.float64]
    old: npt.NDArray[np.float64]
    thresholds: tuple[float | None, float | None]
    fresh: npt.NDArray[np.bool_]
    """[test rows] which of them are compared."""
    champion: ScoringModel | None = None
    """The champion itself, to measure what it costs."""

    @property
    def method(self) -> str:
        """How the interval of the difference is made."""
        return "DeLong" if self.metric == "roc_auc" and self.rows.weight is None else "paired bootstrap"

    def difference(self, spec: TrainSpec) -> Interval:
        """Gain of the challenger with its interval: DeLong's for an unweighted AUC, else by paired bootstrap."""
        if self.method == "DeLong":
            codes = np.asarray(self.rows.target, np.int64)
            return delong_difference(codes, self.new[:, 1], self.old[:, 1], spec.evaluation.confidence)
        return self._difference(
            np.ones(len(self.rows), bool), spec, max(MIN_SAMPLES, spec.evaluation.bootstrap_samples)
        )

    def gain(self, inside: npt.NDArray[np.bool_], spec: TrainSpec) -> float | None:
        """Gain of the challenger on some of the compared rows; None where the metric is undefined."""
        return self._difference(inside, spec, 0).value

    def _difference(self, inside: npt.NDArray[np.bool_], spec: TrainSpec, samples: int) -> Interval:
        return paired_difference(
            self.task,
            self.metric,
            self.rows.target[inside],
            self.new[inside],
            self.old[inside],
            None if self.rows.weight is None else self.rows.weight[inside],
            thresholds=self.thresholds,
            bootstrap_samples=samples,
            confidence=spec.evaluation.confidence,
            seed=spec.split.seed,
        )


def compare(
    registry: Registry, champion: VersionInfo, challenger: ScoringModel, hold_out: HoldOut, metric: str
) -> Comparison | GateVerdict:
    """The comparison; or, where the two cannot be compared, the verdict.

    Raises:
        UnavailableError: the registry is away.
    """
    try:
        old = registry.load(champion)
    except NotFoundError as error:
        return _verdict("promote", f"the champion, version {champion.version}, cannot be loaded: {error.message}")
    incomparable = _incomparable(old, challenger, hold_out.frame)
    if incomparable is not None:
        return incomparable
    fresh = _fresh_rows(registry, champion, old, hold_out)
    if fresh.sum() < MIN_ROWS:
        told = f"only {int(fresh.sum())} of {len(fresh)} test rows are new to the champion, version {champion.version}"
        return _verdict("keep", f"{told}; a comparison needs {MIN_ROWS}")
    try:
        old_scores = old.scores(hold_out.frame[fresh])
    except InputError as error:
        return _verdict("keep", f"the champion cannot score these rows: {error}")
    if challenger.classes:
        old_scores = old_scores[:, [old.classes.index(name) for name in challenger.classes]]
    rows = hold_out.rows
    compared = Rows(rows.frame[fresh], rows.target[fresh], None if rows.weight is None else rows.weight[fresh])
    return Comparison(
        task=challenger.task,
        metric=metric,
        rows=compared,
        new=challenger.scores(compared.frame),
        old=old_scores,
        thresholds=(challenger.threshold, old.threshold),
        fresh=fresh,
        champion=old,
    )


def _incomparable(old: ScoringModel, challenger: ScoringModel, frame: pd.DataFrame) -> GateVerdict | None:
    if (old.target, old.task) != (challenger.target, challenger.task):
        told = f"the champion predicts {old.target!r} ({old.task})"
        return _verdict("promote", f"{told}, the new version {challenger.target!r} ({challenger.task})")
    if set(old.classes) != set(challenger.classes):
        told = f"the champion knows the classes {', '.join(old.classes)}"
        return _verdict("keep", f"{told}; the new version {', '.join(challenger.classes)}: they cannot be compared")
    missing = [feature.name for feature in old.features if feature.name not in frame.columns]
    if missing:
        return _verdict("keep", f"the data lack columns of the champion: {', '.join(missing[:10])}")
    return None


def _fresh_rows(
    registry: Registry, champion: VersionInfo, old: ScoringModel, hold_out: HoldOut
) -> npt.NDArray[np.bool_]:
    """Which rows the champion was not fitted on: all, where it does not say."""
    seen = registry.seen_rows(champion)
    columns = [*(feature.name for feature in old.features), old.target]
    if seen is None or old.target not in hold_out.frame.columns:
        return np.ones(len(hold_out.rows), bool)
    return unseen(row_hashes(hold_out.frame, columns), seen)


def _verdict(decision: str, reason: str) -> GateVerdict:
    return GateVerdict.model_validate({"decision": decision, "reasons": [reason]})
