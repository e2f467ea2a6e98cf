"""The stage that fits, where the spec asks for a search: the search, then the best configuration on all rows but the
hold-out test rows, which nothing here ever sees."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data import make_rows
from training.evaluation.report import Study, study_of
from training.models import FitContext, FitData, FittedModel, HeldOut, Member, Structure, family_of
from training.pipeline.job import Job
from training.pipeline.prepare import Checked
from training.pipeline.warm_start import earlier_configs
from training.registry import TrialRuns
from training.result import StudySummary, TrialRow
from training.spec import TrainSpec
from training.tuning import Goal, StudyPlan, is_maximized, pareto_front, plan_study
from training.tuning.held_out import fold_data, objective_noise
from training.tuning.importances import importances
from training.tuning.study import StudyOutcome, StudySetup, run_study
from training.tuning.work import Trial, TrialWork, held_out_of

Scores = npt.NDArray[np.float64]

PROGRESS_INTERVAL_S = 1.0
"""Between two reports of the same progress; each asks whether the job is to stop."""
REFIT_SHARE = 0.2
"""Of the time budget of the whole job that is left for all that comes after the search."""


def tune_model(
    job: Job, checked: Checked, data: FitData, context: FitContext
) -> tuple[FittedModel, Study]:  # fmt: skip
    """Searches, and fits the best configuration on the train and validation rows together, with as many rounds as were
    best on the train rows. The model's `held_out` are scores of the best trial, which did not learn from these rows.

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
    with _study_folder(job) as folder:
        work = _work(spec, plan, parts, folder)
        setup = _setup(job, checked, folder, earlier, work)
        with nullcontext() if job.part else TrialRuns(job.tracker) as runs:
            outcome = run_study(plan, work, setup, _Listener(job, plan.goal, runs))
        held_out = _held_out(spec, work, outcome)
    summary = _summary(spec, plan, outcome)
    if not job.part:
        _record(job, summary, outcome)
    best = family_of(spec.model).without_early_stopping(work.model_of(outcome.best.params), outcome.best.facts)
    # no checkpoint: that of a trial would not be one of the refit
    refit = replace(context, checkpoint_folder=None)
    fitted = family_of(spec.model).fit(best, FitData(schema, whole, None, data.structure.of(order)), refit)
    facts = {**outcome.best.facts, **fitted.facts}
    return replace(fitted, facts=facts, held_out=held_out), _study(plan, outcome, summary)


def _start(job: Job, plan: StudyPlan) -> list[dict[str, Any]]:
    """Configurations to begin with: of a repetition those that the earlier search began with."""
    if job.part:
        return []  # earlier searches have seen the rows that this one is measured on
    if job.started_from is not None:
        return job.started_from
    return earlier_configs(job.workplace.registry, job.spec, plan)


def _held_out(spec: TrainSpec, work: TrialWork, outcome: StudyOutcome) -> HeldOut:
    """Scores of the best trial, and beside them those of the default configuration."""
    rows = [held_out_of(part) for part in work.parts]
    weights = [part.weight for part in rows if part.weight is not None]
    default = outcome.rows[0]
    members: tuple[Member, ...] = ()
    if outcome.best.number != default.number and default.status == "COMPLETE":
        name, fit_s = f"{spec.model.family}, default configuration", default.values.get("fit_s", 0.0)
        members = (Member(name, _scores(work, default), fit_s),)
    return HeldOut(
        target=np.concatenate([part.target for part in rows]),
        weight=np.concatenate(weights) if weights else None,
        scores=_scores(work, outcome.best),
        members=members,
        structure=_structure(work.parts),
    )


def _structure(parts: tuple[FitData, ...]) -> Structure:
    """That of the held-out rows, which come last in each part."""
    held = [part.structure.of(np.arange(len(part.train), len(part.train) + len(held_out_of(part)))) for part in parts]
    groups = [one.groups for one in held if one.groups is not None]
    times = [one.times for one in held if one.times is not None]
    return replace(
        held[0], groups=np.concatenate(groups) if groups else None, times=np.concatenate(times) if times else None
    )


@contextmanager
def _study_folder(job: Job) -> Iterator[Path]:
    """Where the study can be found again after its process died, or a folder that goes with it."""
    if job.checkpoints is not None:
        yield (job.checkpoints / "study").resolve()
        return
    with tempfile.TemporaryDirectory(prefix="mts-study-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _work(spec: TrainSpec, plan: StudyPlan, parts: tuple[FitData, ...], folder: Path) -> TrialWork:
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0
    return TrialWork(
        model=spec.model, parts=parts, goal=plan.goal, seed=spec.split.seed, cpus=spec.resources.cpus_per_worker,
        gpus=spec.resources.gpus_per_worker, pace=None, scores_folder=folder / "scores",
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
        return objective_noise(work.parts, _scores(work, row), work.goal.first, spec.split.seed)

    return StudySetup(
        folder=folder, fingerprint=_fingerprint(spec, checked), resources=spec.resources, seed=spec.split.seed,
        earlier=earlier, budget_s=min(budgets, default=None), is_hard=job.deadline is not None,
        noise=noise,
    )  # fmt: skip


def _fingerprint(spec: TrainSpec, checked: Checked) -> str:
    """Tells the study of this spec and these rows from another."""
    parts = [spec.model_dump(mode="json", include={"model", "tune", "split"}), checked.dataset.sha256]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _scores(work: TrialWork, row: TrialRow) -> Scores:
    """The trial's scores of the held-out rows; fitted again where another machine keeps them."""
    file = work.scores_file(row.number)
    if not file.is_file():
        Trial(work, row.number, row.params, [{} for _ in work.parts]).run(lambda _rung, _score: None)
    scores: Scores = np.load(file, allow_pickle=False)
    return scores


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


def _summary(spec: TrainSpec, plan: StudyPlan, outcome: StudyOutcome) -> StudySummary:
    complete = [row for row in outcome.rows if row.status == "COMPLETE"]
    candidates = [row for row in complete if row.feasible] or complete
    is_pareto = len(plan.goal.objectives) > 1
    front = pareto_front([plan.goal.gains(row.values) for row in candidates]) if is_pareto else []
    return StudySummary(
        objectives=list(plan.goal.objectives),
        searcher=plan.tune.searcher,
        scheduler=plan.scheduler,
        trials=dict(Counter(row.status for row in outcome.rows)),
        best=outcome.best,
        default=outcome.rows[0],
        pareto=[candidates[place] for place in front],
        importances=importances(plan.space, plan.goal, outcome.rows, spec.split.seed),
        ended_by=outcome.ended_by,
        resumed_trials=outcome.resumed,
        started_from=[row.params for row in outcome.rows if row.origin == "earlier"],
        spent_s=outcome.spent_s,
    )


def _record(job: Job, summary: StudySummary, outcome: StudyOutcome) -> None:
    """The study beside the run's other artifacts."""
    rows = [row.model_dump(mode="json") for row in outcome.rows]
    document: Mapping[str, Any] = {"summary": summary.model_dump(mode="json"), "trials": rows}
    job.tracker.log_text("study.json", json.dumps(document, indent=2, default=str))


def _study(plan: StudyPlan, outcome: StudyOutcome, summary: StudySummary) -> Study:
    """What the report shows of the search."""
    complete = [row for row in outcome.rows if row.status == "COMPLETE"]
    ranked = sorted(complete, key=lambda row: plan.goal.rank(row.values), reverse=True)
    others = [row for row in outcome.rows if row.status != "COMPLETE"]
    return study_of(summary, ranked, others, is_maximized(plan.goal.first))
