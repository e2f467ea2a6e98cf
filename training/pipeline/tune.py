"""The stage that fits, where the spec asks for a search: the search, then the best configuration on all rows but the
hold-out test rows, which nothing here ever sees."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training.data import make_rows
from training.distributed import Spread, engine_of
from training.evaluation.report import Study
from training.models import FitContext, FitData, FittedModel
from training.pipeline.job import Job
from training.pipeline.prepare import Checked
from training.pipeline.spread import spread_of
from training.pipeline.tune_refit import Refitting, scores_of
from training.pipeline.tune_result import record, reported, summary_of
from training.pipeline.warm_start import earlier_configs
from training.registry import TrialRuns
from training.result import TrialRow
from training.spec import TrainSpec
from training.tuning import Goal, StudyPlan, plan_study
from training.tuning.blend import CANDIDATES
from training.tuning.held_out import fold_data, objective_noise
from training.tuning.members import is_blended
from training.tuning.spread_fit import SpreadFit
from training.tuning.study import StudyOutcome, StudySetup, run_study
from training.tuning.work import TrialWork, fit_in_place

PROGRESS_INTERVAL_S = 1.0
"""Between two reports of the same progress; each asks whether the job is to stop."""
REFIT_SHARE = 0.2
"""Of the time budget of the whole job that is left for all that comes after the search."""


def tune_model(
    job: Job, checked: Checked, data: FitData, context: FitContext
) -> tuple[FittedModel, Study]:  # fmt: skip
    """Searches, and fits the best configuration on the train and validation rows together, with as many rounds as were
    best on the train rows; of a stack the best ones, combined. The model's `held_out` are scores of trials, which did
    not learn from these rows.

    Raises:
        SpecError: there is no study to begin with.
        FitError: every trial failed.
        JobCancelledError: somebody asked the job to stop.
    """
    spec, schema = job.spec, checked.schema
    plan = plan_study(spec, schema.task)
    numbers = np.concatenate([checked.split.train, checked.split.validation])
    order = np.argsort(numbers)
    places = numbers[order]
    whole = make_rows(checked.dataset.frame, schema, spec.data, places)
    parts: tuple[FitData, ...] = (data,)
    if plan.tune.folds is not None:
        parts = fold_data(data, plan.tune.folds, spec.split.seed)
    earlier = _start(job, plan)
    with _study_folder(job) as folder, spread_of(job) as spread:
        work = _work(spec, plan, parts, folder, spread)
        setup = _setup(job, checked, folder, earlier, work)
        outcome = _search(job, plan, work, setup)
        rows = FitData(schema, whole, None, data.structure.of(order))
        refit = Refitting(spec, work, outcome, rows, context, spread).run()
    summary = summary_of(spec, plan, outcome, refit.shares)
    if not job.part:
        record(job, summary, outcome)
    return refit.fitted, reported(plan, outcome, summary)


def _search(job: Job, plan: StudyPlan, work: TrialWork, setup: StudySetup) -> StudyOutcome:
    try:
        with nullcontext() if job.part else TrialRuns(job.tracker) as runs:
            return run_study(plan, work, setup, _Listener(job, plan.goal, runs))
    finally:
        if isinstance(work.fit, SpreadFit):
            work.fit.release()


def _start(job: Job, plan: StudyPlan) -> list[dict[str, Any]]:
    """Configurations to begin with: of a repetition those that the earlier search began with."""
    if job.part:
        return []  # earlier searches have seen the rows that this one is measured on
    if job.started_from is not None:
        return job.started_from
    return earlier_configs(job.workplace.registry, job.spec, plan)


@contextmanager
def _study_folder(job: Job) -> Iterator[Path]:
    """Where the study can be found again after its process died, or a folder that goes with it."""
    if job.checkpoints is not None:
        yield (job.checkpoints / "study").resolve()
        return
    with tempfile.TemporaryDirectory(prefix="mts-study-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _work(
    spec: TrainSpec, plan: StudyPlan, parts: tuple[FitData, ...], folder: Path, spread: Spread
) -> TrialWork:  # fmt: skip
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0
    return TrialWork(
        model=spec.model, parts=parts, goal=plan.goal, seed=spec.split.seed, cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker, pace=None, scores_folder=folder / "scores",
        fit=SpreadFit(engine_of(spec), replace(spread, folder=folder)) if spread.max_workers > 1 else fit_in_place,
        niceness=os.getpriority(os.PRIO_PROCESS, 0), policy=policy,
    )  # fmt: skip


def _setup(
    job: Job, checked: Checked, folder: Path, earlier: list[dict[str, Any]], work: TrialWork
) -> StudySetup:  # fmt: skip
    spec = job.spec
    budgets = [spec.tune.time_budget_s] if spec.tune and spec.tune.time_budget_s else []
    if job.deadline is not None:
        budgets.append((1.0 - REFIT_SHARE) * max(0.0, job.deadline - time.monotonic()))

    def noise(row: TrialRow) -> float:
        return objective_noise(work.parts, scores_of(work, row), work.goal.first, spec.split.seed)

    return StudySetup(
        folder=folder, fingerprint=_fingerprint(spec, checked), resources=spec.resources, seed=spec.split.seed,
        earlier=earlier, budget_s=min(budgets, default=None), is_hard=job.deadline is not None,
        noise=noise, kept_scores=CANDIDATES if is_blended(spec.model) else 1,
    )  # fmt: skip


def _fingerprint(spec: TrainSpec, checked: Checked) -> str:
    """Tells the study of this spec and these rows from another."""
    parts = [spec.model_dump(mode="json", include={"model", "tune", "split"}), checked.dataset.sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class _Listener:
    """Passes on what a study says: to the job's observer, and to a run for each trial."""

    def __init__(self, job: Job, goal: Goal, runs: TrialRuns | None) -> None:
        self._observer, self._runs, self._goal = job.watch.observer, runs, goal
        self._fraction, self._told_at = -1.0, 0.0

    def trial(self, row: TrialRow) -> None:
        """A trial begins or is over."""
        if self._runs is not None:
            self._runs.put(row)

    def best(self, row: TrialRow, ended: int) -> None:
        """The best value so far, as the job's live metrics."""
        best = {f"tune/best_{name}": row.values[name] for name in self._goal.objectives}
        self._observer.metrics({**best, "tune/trials": float(ended), "tune/best_trial": float(row.number)}, ended)

    def progress(self, fraction: float) -> None:
        """Share of the search; the refit comes after it."""
        fraction = round(fraction, 2)
        now = time.monotonic()
        if fraction != self._fraction or now - self._told_at >= PROGRESS_INTERVAL_S:
            self._fraction, self._told_at = fraction, now
            self._observer.progress(fraction)
