"""A search for hyperparameters, on the cluster of this process."""

from __future__ import annotations

import time
from dataclasses import replace

from training.tuning.cluster import connected
from training.tuning.plan import StudyPlan
from training.tuning.population_search import PopulationSearch
from training.tuning.search import Search
from training.tuning.setup import StudyListener, StudyOutcome, StudySetup
from training.tuning.work import TrialWork

__all__ = ["StudyListener", "StudyOutcome", "StudySetup", "run_study"]


def run_study(plan: StudyPlan, work: TrialWork, setup: StudySetup, listener: StudyListener) -> StudyOutcome:
    """Runs the search; where an earlier attempt left trials in the folder, it goes on after them.

    Raises:
        FitError: every trial failed.
        JobCancelledError: the listener asked for it.
    """
    started = time.monotonic()
    with connected():
        kind = PopulationSearch if plan.scheduler == "pbt" else Search
        outcome = kind(plan, setup, listener).run(work)
    return replace(outcome, spent_s=round(time.monotonic() - started, 4))
