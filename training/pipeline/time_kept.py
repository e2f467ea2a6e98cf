"""What is kept of a job's time budget for all that comes after the fit: measuring, explaining, registering."""

from __future__ import annotations

import time

from training.pipeline.job import Job
from training.pipeline.leaderboard import MAX_SAMPLES
from training.pipeline.prepare import Parts

AFTER_FIT_S = 1.5
"""For the version, whatever the model is."""
SAMPLE_ROW_S = 1.2e-7
"""For each test row of each bootstrap sample."""
PAIRED_ROW_S = 6e-8
"""For each held-out row of each bootstrap sample that compares a member with the whole."""
MEMBER_S = 0.1
"""For each member's metrics, and for its files."""
EXPLAINED_ROWS = 4_000
"""A slow model scores about so many rows more for its explanation, which takes fewer of a slower one."""
EXPLAINED_MOST_S = 8.0
MOST_KEPT = 0.3
"""Of what is left of the budget."""


def fit_deadline(job: Job, test_rows: int) -> float | None:
    """When the fit must be over, so that the job can still measure and register the model in its time."""
    if job.deadline is None:
        return None
    now, folds = time.monotonic(), 0
    if job.spec.split.folds is not None and not job.part:
        folds = job.spec.split.folds * job.spec.split.repeats
    left_s = max(0.0, job.deadline - now)
    rest_s = AFTER_FIT_S + SAMPLE_ROW_S * test_rows * job.spec.evaluation.bootstrap_samples
    # each fold of a cross-validation takes as long as the job's own fit
    return now + (left_s - min(MOST_KEPT * left_s, rest_s)) / (1 + folds)


def rest_of_job_s(job: Job, parts: Parts, members: int, row_s: float) -> float:
    """What a model of several members takes beyond what `fit_deadline` keeps.

    Args:
        job: the job.
        parts: its rows.
        members: that are compared with the whole.
        row_s: seconds in which the model scores a row, where rows are many.
    """
    wanted = job.spec.evaluation
    samples = min(MAX_SAMPLES, wanted.bootstrap_samples)
    held = len(parts.train) + len(parts.validation)
    explained_s = min(EXPLAINED_MOST_S, row_s * EXPLAINED_ROWS) if wanted.explain else 0.0
    return members * (MEMBER_S + PAIRED_ROW_S * held * samples) + row_s * len(parts.test) + explained_s
