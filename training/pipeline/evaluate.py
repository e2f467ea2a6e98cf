"""A registered model against data."""

from __future__ import annotations

import numpy as np

from training import evaluation
from training.data import size_bytes
from training.errors import SpecError
from training.events import Observer, logging_to
from training.mts_scoring.model import ScoringModel
from training.pipeline.measured_rows import STREAMED_BYTES, Measured, read_whole, stream
from training.pipeline.workplace import Stopwatch, Workplace
from training.registry import Registry, VersionInfo
from training.result import EvaluationResult, Interval, SliceRow, VersionReference
from training.spec import EvaluateSpec


def evaluate_model(spec: EvaluateSpec, workplace: Workplace, observer: Observer) -> EvaluationResult:
    """Scores the rows with the version and measures it; the target and the columns are the model's own.

    Data of STREAMED_BYTES and more never lie in memory as a whole: pieces are read one after the other and scored in
    parallel on the cluster; of each row the score, the target and the slice columns are kept.

    Raises:
        NotFoundError: no such model, version or alias.
        DataError: the data lack a column of the model, or hold labels that it never saw.
    """
    with logging_to(observer):
        watch = Stopwatch(observer)
        with watch.phase("load"):
            info = workplace.registry.resolve(spec.model.name, version=spec.model.version, alias=spec.model.alias)
            model = workplace.registry.load(info)
            size = size_bytes(spec.data.source, workplace.access)
        threshold = _threshold(spec, model)
        if size < STREAMED_BYTES:
            with watch.phase("check"):
                score = read_whole(spec, model, workplace.access)
            with watch.phase("evaluate"):
                found = score()
                metrics, slices = _measured(spec, model, found, threshold)
        else:
            with watch.phase("evaluate"):
                found = stream(spec, model, workplace.access, observer, size)
                metrics, slices = _measured(spec, model, found, threshold)
    return EvaluationResult(
        model=VersionReference(name=info.name, version=info.version, uri=info.uri),
        task=model.task,
        primary_metric=evaluation.primary_metric(model.task),
        rows=len(found),
        metrics=metrics,
        slices=slices,
        threshold=threshold,
        warnings=[*found.warnings, *_fitted_on(found, workplace.registry, info)],
        timings=watch.timings,
    )


def _fitted_on(found: Measured, registry: Registry, info: VersionInfo) -> list[str]:
    """Says so where a version is measured on rows that it has learnt from."""
    seen = registry.seen_rows(info)
    again = 0 if seen is None else int(np.isin(found.hashes, seen).sum())
    if not again:
        return []
    told = f"{again:,} of {len(found):,} rows are among those that version {info.version} was fitted on"
    return [f"{told}: its metrics are better on these than on new rows"]


def _threshold(spec: EvaluateSpec, model: ScoringModel) -> float | None:
    if spec.threshold is None:
        return model.threshold
    if model.task != "binary":
        reason = f"only a binary model decides by a threshold; this one is for {model.task}"
        raise SpecError.at("threshold", spec.threshold, reason, hint="Leave it out.")
    return spec.threshold


def _measured(
    spec: EvaluateSpec, model: ScoringModel, found: Measured, threshold: float | None
) -> tuple[dict[str, Interval], list[SliceRow]]:
    resampling: evaluation.ResamplingOptions = {
        "bootstrap_samples": spec.bootstrap_samples,
        "confidence": spec.confidence,
    }
    metrics = evaluation.evaluate(
        model.task, found.target, found.scores, found.weight, threshold=threshold, **resampling
    )
    slices = evaluation.evaluate_slices(
        found.frame, spec.slices, model.task, found.target, found.scores, found.weight,
        threshold=threshold, **resampling,
    )  # fmt: skip
    return metrics, slices
