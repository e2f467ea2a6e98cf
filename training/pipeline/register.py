"""The stage that makes a version of the model, and asks the gate about it."""

from __future__ import annotations

import numpy as np

from training.evaluation.report import Study
from training.monitoring.profile import PROFILE_FILE, build_profile
from training.mts_scoring.model import ScoringModel
from training.pipeline.assess import Assessment
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.pipeline.report import report_of, version_files
from training.registry import gate
from training.registry.new_version import NewVersion
from training.result import FeatureStoreUse, GateVerdict, VersionReference

CAUSES = ("monitor", "alarm", "pool")
"""Tags of a job that say why it was: they become lineage of the version."""
SAMPLE_ROWS = 5
"""Raw rows kept with the version as its input example."""


def register(
    job: Job, checked: Checked, parts: Parts, model: ScoringModel, assessment: Assessment, *, study: Study | None = None
) -> tuple[VersionReference, GateVerdict]:
    """Asks the gate, makes the version with its verdict in one call, then moves the alias.

    In this order a process that dies in between leaves a version that a second attempt finds, verdict included.
    """
    registry = job.workplace.registry
    verdict = gate.decide(registry, model, parts.test, parts.test_frame, job.spec)
    report = report_of(job, checked, parts, model, assessment, verdict=verdict, study=study)
    explained = report.explanation
    profile = build_profile(
        model,
        parts.test.frame,
        parts.test.target,
        scored=assessment.scores,
        importance=None if explained is None else {one.column: one.shap for one in explained.features},
    )
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
            PROFILE_FILE: profile.dumped(),
        },
    )
    version = registry.register(job.tracker, made)
    return version, gate.apply(registry, version)


def _feature_views(use: FeatureStoreUse | None) -> dict[str, str]:
    """The feature views that the rows came from, with their versions."""
    if use is None:
        return {}
    views = [f"{view.name} {view.version} {view.definition_sha256[:12]}" for view in use.views]
    return {"feature_repository": f"{use.repository}/{use.project}", "feature_views": ", ".join(views)}
