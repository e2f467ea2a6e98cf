"""The stage that writes the report, and all else that is kept with a version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from training.evaluation.report import Report, ReportInputs, Study, build_report, render_page
from training.mts_scoring.model import ScoringModel
from training.pipeline.assess import Assessment
from training.pipeline.job import Job
from training.pipeline.prepare import Checked, Parts
from training.registry.environment import code_version
from training.registry.files import FEATURE_STORE, GOLDEN, REPORT_JSON, REPORT_PAGE, TEST_ROWS, HoldOutScores
from training.registry.golden import golden_rows
from training.result import GateVerdict


def report_of(
    job: Job,
    checked: Checked,
    parts: Parts,
    model: ScoringModel,
    assessment: Assessment,
    *,
    verdict: GateVerdict,
    study: Study | None = None,
) -> Report:
    """The report of the model that the job is about to register."""
    return build_report(
        ReportInputs(
            spec=job.spec,
            model=model,
            train=parts.train.frame,
            test=parts.test,
            test_frame=parts.test_frame,
            scores=assessment.scores,
            metrics=assessment.metrics,
            slices=assessment.slices,
            leaderboard=assessment.leaderboard,
            gate=verdict,
            study=study,
            data=checked.summary(),
            learning_curve=assessment.learning_curve,
            cross_validation=assessment.cross_validation,
            created_at=datetime.now(UTC),
            facts={
                "job_id": job.id,
                "run_id": job.tracker.run_id,
                "code_version": code_version(),
                "data_uri": checked.dataset.uri,
            },
        )
    )


def version_files(
    report: Report, checked: Checked, parts: Parts, model: ScoringModel, assessment: Assessment
) -> Mapping[str, bytes]:
    """What is kept beside the model, by path."""
    scores = HoldOutScores(
        hashes=checked.hashes[np.asarray(checked.split.test)],
        target=np.asarray(parts.test.target, np.float64),
        scores=assessment.scores,
        weight=parts.test.weight,
    )
    use = checked.dataset.feature_store
    return {
        **({} if use is None else {FEATURE_STORE: use.model_dump_json(indent=2).encode()}),
        REPORT_JSON: report.model_dump_json().encode(),
        REPORT_PAGE: render_page(report).encode(),
        TEST_ROWS: scores.to_bytes(),
        GOLDEN: golden_rows(model, parts.test.frame).model_dump_json().encode(),
    }
