"""What a search leaves: its summary, its trials beside the run, and what the report shows of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from training.evaluation.report import Study, study_of
from training.pipeline.job import Job
from training.result import StudySummary
from training.spec import TrainSpec
from training.tuning import StudyPlan, is_maximized, pareto_front
from training.tuning.importances import importances
from training.tuning.study import StudyOutcome


def summary_of(
    spec: TrainSpec, plan: StudyPlan, outcome: StudyOutcome, shares: Mapping[int, float]
) -> StudySummary:  # fmt: skip
    """The summary; `shares` are those of the trials in the model, where it combines several."""
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
        blend={number: round(share, 4) for number, share in shares.items()},
    )


def record(job: Job, summary: StudySummary, outcome: StudyOutcome) -> None:
    """The study beside the run's other artifacts."""
    rows = [row.model_dump(mode="json") for row in outcome.rows]
    document: Mapping[str, Any] = {"summary": summary.model_dump(mode="json"), "trials": rows}
    job.tracker.log_text("study.json", json.dumps(document, indent=2, default=str))


def reported(plan: StudyPlan, outcome: StudyOutcome, summary: StudySummary) -> Study:
    """What the report shows of the search."""
    complete = [row for row in outcome.rows if row.status == "COMPLETE"]
    ranked = sorted(complete, key=lambda row: plan.goal.rank(row.values), reverse=True)
    others = [row for row in outcome.rows if row.status != "COMPLETE"]
    return study_of(summary, ranked, others, is_maximized(plan.goal.first))
