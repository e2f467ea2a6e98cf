"""Puts a report together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from training.data.table import Rows
from training.evaluation.metrics import primary_metric
from training.evaluation.profile import make_profile
from training.evaluation.report.curves import curves_of
from training.evaluation.report.explanation import explanation_of
from training.evaluation.report.fairness import group_differences
from training.evaluation.report.findings import checks_of, limits_of
from training.evaluation.report.model import Explanation, LearningPoint, Report, Study, WeakSlice, WeakSlices
from training.evaluation.statistic import FloatArray
from training.evaluation.weak_slices import FALSE_DISCOVERY_RATE, find_weak_slices, row_loss
from training.mts_scoring.model import ScoringModel
from training.result import CrossValidation, DataSummary, GateVerdict, Interval, LeaderboardRow, SliceRow
from training.spec import TrainSpec


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made from.

    `train`: the rows that the model was fitted on. `test`: its hold-out rows; `test_frame` has them with every column.
    `scores`: the model's, of the test rows. `facts`: job_id, run_id, code_version, data_uri.
    """

    spec: TrainSpec
    model: ScoringModel
    train: pd.DataFrame
    test: Rows
    test_frame: pd.DataFrame
    scores: FloatArray
    metrics: dict[str, Interval]
    slices: list[SliceRow]
    leaderboard: list[LeaderboardRow]
    gate: GateVerdict | None
    data: DataSummary
    created_at: datetime
    facts: dict[str, str] = field(default_factory=dict)
    learning_curve: Sequence[LearningPoint] = ()
    study: Study | None = None
    cross_validation: CrossValidation | None = None


def build_report(given: ReportInputs) -> Report:
    """Measures what the job has not measured yet, and puts all of it together."""
    spec, model = given.spec, given.model
    wanted = spec.evaluation
    explanation = _explanation(given)
    weak = _weak_slices(given, explanation)
    return Report(
        model=spec.name,
        created_at=given.created_at,
        task=model.task,
        target=model.target,
        classes=list(model.classes),
        primary_metric=primary_metric(model.task),
        threshold=model.threshold,
        confidence=wanted.confidence,
        bootstrap_samples=wanted.bootstrap_samples,
        metrics=given.metrics,
        curves=curves_of(
            model.task, given.test.target, given.scores, given.test.weight,
            classes=model.classes, threshold=model.threshold, cost_matrix=wanted.cost_matrix,
        ),
        slices=given.slices,
        weak_slices=weak,
        fairness=group_differences(
            given.test_frame, wanted.fairness, model.task, given.test.target, given.scores, threshold=model.threshold
        ),
        explanation=explanation,
        learning_curve=list(given.learning_curve),
        leaderboard=given.leaderboard,
        study=given.study,
        cross_validation=given.cross_validation,
        gate=given.gate,
        data=given.data,
        profile=make_profile(given.train, model.features, given.scores, list(model.classes) or ["prediction"]),
        checks=checks_of(given.metrics, given.data, given.gate, weak),
        limits=limits_of(spec, given.data, model, weak, given.slices),
        spec=_plain(spec),
        **given.facts,
    )  # fmt: skip


def _explanation(given: ReportInputs) -> Explanation | None:
    if not given.spec.evaluation.explain:
        return None
    metric = given.spec.promotion.metric or primary_metric(given.model.task)
    return explanation_of(given.model, given.test, metric, seed=given.spec.split.seed)


def _weak_slices(given: ReportInputs, explanation: Explanation | None) -> WeakSlices:
    """Columns that matter to the model are looked at first."""
    ranked = [] if explanation is None else [feature.column for feature in explanation.features]
    columns = dict.fromkeys([*ranked, *(feature.name for feature in given.model.features)])
    loss = row_loss(given.model.task, given.test.target, np.asarray(given.scores, np.float64))
    tested, found = find_weak_slices(given.test_frame, columns, loss)
    return WeakSlices(
        tested=tested,
        false_discovery_rate=FALSE_DISCOVERY_RATE,
        found=[
            WeakSlice(where=one.where, rows=one.rows, loss=one.loss, loss_elsewhere=one.loss_elsewhere,
                      p_value=one.p_value)
            for one in found
        ],
    )  # fmt: skip


def _plain(spec: TrainSpec) -> dict[str, Any]:
    """The spec as JSON, without rows that it may carry: a report is read by more people than the data."""
    plain: dict[str, Any] = spec.model_dump(mode="json")
    source = plain["data"]["source"]
    if "rows" in source:
        source["rows"] = f"{len(source['rows'])} rows, left out"
    return plain
