"""The learning curve: the same model fitted on growing shares of the train rows. Would more rows help?"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from training.data import Rows
from training.errors import FitError
from training.evaluation import point_metrics, primary_metric
from training.evaluation.report.model import LearningPoint
from training.models import FitContext, FitData
from training.models.calibration import calibrated, with_held_out
from training.models.families import family_of
from training.mts_scoring.model import ScoringModel
from training.mts_scoring.predictor import Predictor
from training.pipeline.assess import Assessment
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.pipeline.structure import structure_of
from training.result import StudySummary
from training.spec import ModelSpec

logger = logging.getLogger("training")

SHARES = (0.1, 0.2, 0.4, 0.7)
"""Of the train rows; the last point is the model itself."""
MIN_ROWS = 50
SHOWN_ROWS = 50_000
"""Train rows on which a model is measured at most."""

Positions = npt.NDArray[np.int64]


def learning_curve(
    job: Job,
    checked: Checked,
    parts: Parts,
    model: ScoringModel,
    *,
    assessment: Assessment,
    study: StudySummary | None,
) -> list[LearningPoint]:
    """The primary metric on train and test rows by the number of train rows; empty where it was not asked for.

    Each share contains the smaller ones: rows drawn at random with the split's seed, or the latest where the split is
    by time. After a search the configuration that it found is fitted. The validation rows steer each fit as they
    steered the model's. Ends early at the job's deadline.

    Raises:
        JobCancelledError: somebody asked the job to stop.
    """
    spec = job.spec
    if not spec.evaluation.learning_curve:
        return []
    context = FitContext(
        seed=spec.split.seed, cpus=spec.resources.cpus_per_worker, gpus=spec.resources.gpus_per_worker,
        observer=job.watch.observer, deadline=job.deadline,
    )  # fmt: skip
    wanted = _model_of(spec.model, study)
    data = FitData(checked.schema, parts.train, parts.validation, structure_of(checked, spec))
    order = _order(len(parts.train), spec.split.seed, by_time=checked.split.strategy == "time")
    points = []
    for rows in _sizes(parts.train):
        if job.deadline is not None and time.monotonic() > job.deadline:
            logger.warning("the learning curve ends early: the job's time is over")
            break
        part = _part(data, np.sort(order[:rows]))
        if not _has_all_classes(part.train, checked):
            continue
        try:
            fitted, _ = calibrated(with_held_out(family_of(wanted).fit(wanted, part, context), part), spec.split.seed)
        except FitError as error:
            logger.warning("the learning curve lacks the model of %s rows: %s", rows, error.message)
            continue
        points.append(_point(fitted.predictor, model, part.train, parts.test))
    if not points:
        return []
    return [*points, _point(model.predictor, model, parts.train, parts.test, assessment)]


def _sizes(train: Rows) -> Iterator[int]:
    for share in SHARES:
        rows = round(share * len(train))
        if rows >= MIN_ROWS:
            yield rows


def _order(rows: int, seed: int, *, by_time: bool) -> Positions:
    """Positions of the train rows; the first so many are a share."""
    if by_time:
        return np.arange(rows - 1, -1, -1, dtype=np.int64)
    return np.random.default_rng(seed).permutation(rows).astype(np.int64)


def _model_of(asked: ModelSpec, study: StudySummary | None) -> ModelSpec:
    if study is None:
        return asked
    return asked.model_copy(update={"params": {**getattr(asked, "params", {}), **study.best.params}})


def _part(data: FitData, chosen: Positions) -> FitData:
    """The fit's data with some of the train rows, and the structure of those that are left."""
    rest = np.arange(len(data.train), len(data.train) + len(data.validation or ()), dtype=np.int64)
    kept = np.concatenate([chosen, rest])
    held = data.structure
    structure = replace(held.of(kept), fixed=held.fixed)
    return replace(data, train=_taken(data.train, chosen), structure=structure)


def _taken(rows: Rows, chosen: Positions) -> Rows:
    weight = None if rows.weight is None else rows.weight[chosen]
    return Rows(rows.frame.iloc[chosen].reset_index(drop=True), rows.target[chosen], weight)


def _has_all_classes(train: Rows, checked: Checked) -> bool:
    classes = len(checked.schema.classes)
    return not classes or len(np.unique(train.target)) == classes


def _point(
    predictor: Predictor, model: ScoringModel, train: Rows, test: Rows, assessment: Assessment | None = None
) -> LearningPoint:  # fmt: skip
    metric = primary_metric(model.task)

    def measured(rows: Rows, scores: npt.NDArray[np.float64]) -> float:
        found = point_metrics(model.task, rows.target, scores, rows.weight, (metric,), threshold=model.threshold)
        return found.get(metric, float("nan"))

    shown = _taken(train, np.linspace(0, len(train) - 1, min(SHOWN_ROWS, len(train))).astype(np.int64))
    scores = predictor.predict(test.frame) if assessment is None else assessment.scores
    return LearningPoint(
        rows=len(train), train=measured(shown, predictor.predict(shown.frame)), test=measured(test, scores)
    )
