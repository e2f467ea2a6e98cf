"""What is kept of a job's time budget for all that comes after the fit: measuring, explaining, registering."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training.evaluation import evaluate, paired_difference, primary_metric
from training.pipeline.job import Job
from training.pipeline.leaderboard import MAX_SAMPLES
from training.pipeline.prepare import Checked, Parts

AFTER_FIT_S = 1.5
"""For the version, whatever the model is."""
SAMPLE_ROW_S = 1.2e-7
"""For each test row of each bootstrap sample."""
MOST_KEPT = 0.3
"""Of what is left of the budget."""
MEMBER_S = 0.1
"""For the files of a member."""
EXPLAINED_ROWS = 10_000
"""That a model scores for its explanation and for its profile; a slow one takes fewer, see `Predictor.row_us`."""
EXPLAINED_MOST_S = 10.0
TIMED_SAMPLES = 4
"""Bootstrap samples from whose time that of all follows."""


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


@dataclass(frozen=True)
class RestOfJob:
    """What a model of several members takes beyond what `fit_deadline` keeps, measured in small on this machine as busy
    as it is."""

    job: Job
    checked: Checked
    parts: Parts

    def __call__(self, members: int, row_s: float) -> float:
        """Seconds.

        Args:
            members: that are compared with the whole.
            row_s: seconds in which the model scores a row, where rows are many.
        """
        if self.job.deadline is None:
            return 0.0
        wanted = self.job.spec.evaluation
        paired = min(MAX_SAMPLES, wanted.bootstrap_samples)
        own_s, paired_s = self._sample_s
        measured_s = own_s * wanted.bootstrap_samples + members * (MEMBER_S + paired_s * paired)
        known_s = SAMPLE_ROW_S * len(self.parts.test) * wanted.bootstrap_samples
        explained_s = min(EXPLAINED_MOST_S, row_s * EXPLAINED_ROWS)
        return max(0.0, measured_s - known_s) + row_s * len(self.parts.test) + explained_s

    @cached_property
    def _sample_s(self) -> tuple[float, float]:
        """Of a bootstrap sample of all metrics on the test rows, and of a paired one on all others."""
        task, classes = self.checked.schema.task, len(self.checked.schema.classes)
        generator = np.random.default_rng(0)
        shape = (classes,) if classes else ()
        test = self.parts.test
        target = np.concatenate([self.parts.train.target, self.parts.validation.target])
        drawn = [generator.random((rows, *shape)) for rows in (len(test), len(target), len(target))]
        scores = [one / one.sum(axis=1, keepdims=True) if classes else one for one in drawn]
        threads = self.job.spec.resources.cpus_per_worker
        started = time.monotonic()
        evaluate(task, test.target, scores[0], bootstrap_samples=TIMED_SAMPLES, threads=threads)
        between = time.monotonic()
        paired_difference(
            task, primary_metric(task), target, scores[1], scores[2], bootstrap_samples=TIMED_SAMPLES, threads=threads
        )
        return (between - started) / TIMED_SAMPLES, (time.monotonic() - between) / TIMED_SAMPLES
