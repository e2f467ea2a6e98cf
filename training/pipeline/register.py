"""The stage that makes a version of the model, and asks the gate about it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from training.evaluation.report import Report, Study
from training.monitoring.profile import PROFILE_FILE, ReferenceProfile, build_profile
from training.mts_scoring.model import ScoringModel
from training.pipeline.assess import Assessment
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.pipeline.report import report_of, version_files
from training.registry import gate
from training.registry.files import RESULT
from training.registry.new_version import NewVersion
from training.result import FeatureStoreUse, GateVerdict, TrainResult, VersionReference

CAUSES = ("monitor", "alarm", "pool")
"""Tags of a job that say why it was: they become lineage of the version."""
SAMPLE_ROWS = 5
"""Raw rows kept with the version as its input example."""


def register(
    job: Job,
    checked: Checked,
    parts: Parts,
    model: ScoringModel,
    assessment: Assessment,
    *,
    told: Callable[[VersionReference, GateVerdict], TrainResult],
    study: Study | None = None,
) -> tuple[VersionReference, GateVerdict]:
    """Asks the gate, makes the version with its verdict in one call, then moves the alias.

    In this order a process that dies in between leaves a version that a second attempt finds, verdict and result
    included.

    Args:
        job: the job.
        checked: its data.
        parts: the same, split.
        model: what is registered.
        assessment: of the model.
        study: the search that found it.
        told: makes the result of the job; asked once before the version has a number.
    """
    registry = job.workplace.registry
    verdict = gate.decide(registry, model, parts.test, parts.test_frame, job.spec)
    report = report_of(job, checked, parts, model, assessment, verdict=verdict, study=study)
    fitted_on = np.sort(np.concatenate([checked.split.train, checked.split.validation]))
    made = NewVersion(
        model=model,
        sample=parts.test.frame.head(SAMPLE_ROWS),
        metrics=assessment.metrics,
        lineage={
            "data_sha256": checked.dataset.sha256,
            "data_uri": checked.dataset.uri,
            "data_snapshot": checked.dataset.snapshot,
            **{name: job.spec.tags[name] for name in CAUSES if name in job.spec.tags},
            **_feature_views(checked.dataset.feature_store),
        },
        row_hashes=checked.hashes[fitted_on],
        verdict=verdict,
        files={
            **version_files(report, checked, parts, model, assessment),
            PROFILE_FILE: _profile(parts, model, assessment, report).dumped(),
            RESULT: _result_file(told(VersionReference(name=job.spec.name, version="", uri=""), verdict)),
        },
    )
    version = registry.register(job.tracker, made)
    return version, gate.apply(registry, version)


def _profile(parts: Parts, model: ScoringModel, assessment: Assessment, report: Report) -> ReferenceProfile:
    explained = report.explanation
    return build_profile(
        model,
        parts.test.frame,
        parts.test.target,
        scored=assessment.scores,
        importance=None if explained is None else {one.column: one.shap for one in explained.features},
    )


def _result_file(result: TrainResult) -> bytes:
    # not by pydantic: a score of NaN is to come back as one
    return json.dumps(result.model_dump(mode="json"), ensure_ascii=False).encode()


def _feature_views(use: FeatureStoreUse | None) -> dict[str, str]:
    """The feature views that the rows came from, with their versions."""
    if use is None:
        return {}
    views = [f"{view.name} {view.version} {view.definition_sha256[:12]}" for view in use.views]
    return {"feature_repository": f"{use.repository}/{use.project}", "feature_views": ", ".join(views)}
