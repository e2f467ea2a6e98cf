"""A registered model against data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from training import evaluation
from training.data import evaluation_rows, load
from training.errors import DataError, SpecError
from training.events import Observer, logging_to
from training.mts_scoring.model import InputError, ScoringModel
from training.pipeline.workplace import Stopwatch, Workplace
from training.result import EvaluationResult, VersionReference
from training.spec import EvaluateSpec

Scores = npt.NDArray[np.float64]


def evaluate_model(spec: EvaluateSpec, workplace: Workplace, observer: Observer) -> EvaluationResult:
    """Scores the rows with the version and measures it; the target and the columns are the model's own.

    Raises:
        NotFoundError: no such model, version or alias.
        DataError: the data lack a column of the model, or hold labels that it never saw.
    """
    with logging_to(observer):
        watch = Stopwatch(observer)
        with watch.phase("load"):
            info = workplace.registry.resolve(spec.model.name, version=spec.model.version, alias=spec.model.alias)
            model = workplace.registry.load(info)
            dataset = load(spec.data.source, workplace.access)
        with watch.phase("check"):
            found, warnings = evaluation_rows(
                dataset.frame,
                target=model.target,
                task=model.task,
                classes=model.classes,
                weight_column=model.extras.get("weight_column"),
            )
            evaluation.check_slices(spec.slices, list(dataset.frame.columns), field="slices")
            threshold = _threshold(spec, model)
        with watch.phase("evaluate"):
            scores = _scores(model, found.frame)
            resampling: evaluation.ResamplingOptions = {
                "bootstrap_samples": spec.bootstrap_samples,
                "confidence": spec.confidence,
            }
            metrics = evaluation.evaluate(
                model.task, found.target, scores, found.weight, threshold=threshold, **resampling
            )
            slices = evaluation.evaluate_slices(
                found.frame, spec.slices, model.task, found.target, scores, found.weight,
                threshold=threshold, **resampling,
            )  # fmt: skip
    return EvaluationResult(
        model=VersionReference(name=info.name, version=info.version, uri=info.uri),
        task=model.task,
        primary_metric=evaluation.primary_metric(model.task),
        rows=len(found),
        metrics=metrics,
        slices=slices,
        threshold=threshold,
        warnings=list(warnings),
        timings=watch.timings,
    )


def _threshold(spec: EvaluateSpec, model: ScoringModel) -> float | None:
    if spec.threshold is None:
        return model.threshold
    if model.task != "binary":
        reason = f"only a binary model decides by a threshold; this one is for {model.task}"
        raise SpecError.at("threshold", spec.threshold, reason, hint="Leave it out.")
    return spec.threshold


def _scores(model: ScoringModel, frame: pd.DataFrame) -> Scores:
    try:
        return model.scores(frame)
    except InputError as error:
        hint = "Give the columns that the model was trained on, with values of the same kind."
        raise DataError.at("data.source", list(frame.columns), str(error), hint=hint) from error
