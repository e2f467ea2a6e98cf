"""Schedulers of Ray Tune that end bad trials early."""

from __future__ import annotations

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from training.spec.tune import Scheduler
from training.tuning.actor import RUNG, SCORE
from training.tuning.milestones import MAX_RUNG, REDUCTION, Pace

BRACKETS = 3
MEDIAN_GRACE, MEDIAN_TRIALS = 3, 5
"""The median rule ends no trial before so many milestones, and none before so many others have been there."""

PACES: dict[Scheduler, Pace | None] = {
    "none": None, "asha": "geometric", "hyperband": "geometric", "median": "even", "pbt": None,
}  # fmt: skip


def make_scheduler(name: Scheduler) -> TrialScheduler:
    """The scheduler.

    - asha: Li et al. 2020, "A system for massively parallel hyperparameter tuning", arXiv:1810.05934: at each milestone
      the better half goes on.
    - hyperband: Li et al. 2018, arXiv:1603.06560, asynchronous: three brackets of asha, of which two spare trials that
      start slowly.
    - pbt: see population; Tune runs each stage to its end.
    - median: Golovin et al. 2017, "Google Vizier": ends a trial whose best is below the median of the others' means.
    """
    if name in {"asha", "hyperband"}:
        return ASHAScheduler(
            time_attr=RUNG, metric=SCORE, mode="max", grace_period=1, max_t=MAX_RUNG, reduction_factor=REDUCTION,
            brackets=BRACKETS if name == "hyperband" else 1, stop_last_trials=False,
        )  # fmt: skip
    if name == "median":
        return MedianStoppingRule(
            time_attr=RUNG, metric=SCORE, mode="max", grace_period=MEDIAN_GRACE, min_samples_required=MEDIAN_TRIALS
        )
    return FIFOScheduler()  # type: ignore[no-untyped-call]  # Tune leaves some of its methods untyped
