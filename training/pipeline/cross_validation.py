"""The stage that does again, for each fold of the rows, what gave the job its model: nested cross-validation."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from training.data import Split, check_train_rows
from training.errors import DataError, FitError
from training.evaluation import point_metrics
from training.models.parallel import ProgressPart
from training.pipeline.assess import scoring_model
from training.pipeline.fit import fit_model
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, partition
from training.pipeline.workplace import Stopwatch
from training.result import CrossValidation, FoldRow, Interval

logger = logging.getLogger("training")

TIME_OVER = "the time was over before it was fitted"


def cross_validate(job: Job, checked: Checked) -> CrossValidation:
    """Fits and measures on each of `checked.folds`, of which there is one at least.

    A fold that cannot be fitted or measured is told of and does not end the job. Folds that an earlier attempt of the
    job has measured on the same rows are not fitted again.

    Raises:
        JobCancelledError: somebody asked the job to stop.
    """
    rows = []
    for number, split in enumerate(checked.folds):
        left = len(checked.folds) - number
        observer = ProgressPart(job.watch.observer, number / len(checked.folds), 1.0 / len(checked.folds))
        deadline = None
        if job.deadline is not None:
            deadline = time.monotonic() + max(0.0, job.deadline - time.monotonic()) / left
        part = replace(job, part=f"fold-{number + 1}", watch=Stopwatch(observer), deadline=deadline)
        logger.info("cross-validation: fit %d of %d", number + 1, len(checked.folds))
        rows.append(_remembered(part, checked, split, number))
        observer.progress(1.0)
    told = [row for row in rows if row.error is None]
    for row in rows:
        if row.error is not None:
            logger.warning("cross-validation lacks fold %d of repeat %d: %s", row.fold, row.repeat, row.error)
    repeats = job.spec.split.repeats
    metrics = summary(told, confidence=job.spec.evaluation.confidence)
    return CrossValidation(folds=len(rows) // repeats, repeats=repeats, metrics=metrics, rows=rows)


def summary(rows: Sequence[FoldRow], *, confidence: float) -> dict[str, Interval]:
    """Mean of each metric that all rows have, with its interval; without bounds where there are not two rows.

    The variance of the mean is (1/J + test rows / train rows) times that of the J values, for models of folds share
    most of their train rows (Nadeau and Bengio 2003, Machine Learning 52:239-281, the corrected resampled t test).
    """
    if not rows:
        return {}
    shared = float(np.mean([row.test_rows / (row.train_rows + row.validation_rows) for row in rows]))
    found = {}
    for name in rows[0].metrics:
        values = np.array([row.metrics[name] for row in rows if name in row.metrics])
        if len(values) < len(rows):
            continue
        mean, low, high = float(values.mean()), None, None
        if len(values) > 1:
            error = float(np.sqrt((1.0 / len(values) + shared) * values.var(ddof=1)))
            width = float(stats.t.ppf(0.5 + confidence / 2.0, len(values) - 1)) * error
            low, high = mean - width, mean + width
        found[name] = Interval(value=mean, low=low, high=high)
    return found


def _remembered(job: Job, checked: Checked, split: Split, number: int) -> FoldRow:
    file: Path | None = None
    if job.checkpoints is not None:
        file = job.checkpoints / f"measured-{checked.dataset.sha256[:16]}.json"
        if file.is_file():
            return FoldRow.model_validate_json(file.read_bytes())
    row = _measured(job, checked, split, number)
    if file is not None and row.error is None:
        try:
            _keep(file, row)
        except OSError as error:
            logger.warning("the fold is not kept for another attempt at the job: %s", error)
    return row


def _keep(file: Path, row: FoldRow) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(row.model_dump_json(), encoding="utf-8")
    partial.replace(file)


def _measured(job: Job, checked: Checked, split: Split, number: int) -> FoldRow:
    spec, schema = job.spec, checked.schema
    folds = len(checked.folds) // spec.split.repeats
    row = FoldRow(
        repeat=number // folds + 1, fold=number % folds + 1, train_rows=len(split.train),
        validation_rows=len(split.validation), test_rows=len(split.test),
    )  # fmt: skip
    if job.deadline is not None and time.monotonic() >= job.deadline:
        return row.model_copy(update={"error": TIME_OVER})
    started = time.monotonic()
    try:
        check_train_rows(checked.dataset.frame, schema, split)
        own = replace(checked, split=split, folds=())
        parts = partition(own, spec)
        fit = fit_model(job, own, parts)
        model = scoring_model(spec, own, fit.model, fit.calibration)
        test = parts.test
        metrics = point_metrics(
            schema.task, test.target, model.scores(test.frame), test.weight, spec.evaluation.metrics,
            threshold=model.threshold,
        )  # fmt: skip
    except (DataError, FitError) as error:
        return row.model_copy(update={"error": error.message, "fit_s": round(time.monotonic() - started, 4)})
    return row.model_copy(update={"metrics": metrics, "fit_s": round(time.monotonic() - started, 4)})
