"""Schedulers of Ray Tune that end bad trials early."""

from __future__ import annotations

import math
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from training.spec.tune import Scheduler
from training.tuning.actor import OUTCOME, RUNG, SCORE
from training.tuning.forecasts import WHOLE_TRIALS, Forecasts
from training.tuning.milestones import MAX_RUNG, REDUCTION, Pace

BRACKETS = 3
MEDIAN_GRACE, MEDIAN_TRIALS = 3, 5
"""The median rule ends no trial before so many milestones, and none before so many others have been there."""

HOPELESS = 0.2
"""A trial whose chance to become the best is below this ends early."""
LONG_SEARCH_TRIALS = 3 * WHOLE_TRIALS
"""From so many on a search can afford to run its first trials to their end."""

PACES: dict[Scheduler, Pace | None] = {
    "none": None, "asha": "geometric", "hyperband": "geometric", "median": "even", "pbt": None,
}  # fmt: skip


class ForecastScheduler(ASHAScheduler):
    """Ends trials that are forecast to fall short of the best so far.

    Args:
        forecasts: learn of trials elsewhere.
        halves_first: whether the better half goes on at each milestone as long as nothing can be forecast; else all do.
        options: of ASHAScheduler.
    """

    def __init__(self, forecasts: Forecasts, *, halves_first: bool, **options: Any) -> None:
        super().__init__(**options)
        self._forecasts, self._halves_first = forecasts, halves_first

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """At a milestone."""
        halved: str = super().on_trial_result(tune_controller, trial, result)
        progress = result[OUTCOME]
        chance = self._forecasts.chance(trial.config["config"], progress.curve, progress.curve_metric)
        if chance is None:
            return halved if self._halves_first else self.CONTINUE
        return self.STOP if chance < HOPELESS else self.CONTINUE


def make_scheduler(name: Scheduler, forecasts: Forecasts, *, is_short: bool) -> TrialScheduler:
    """The scheduler. `is_short`: whether there may be too few trials for some to be run to their end first.

    - asha: Li et al. 2020, "A system for massively parallel hyperparameter tuning", arXiv:1810.05934: at each milestone
      the better half goes on. Once there are trials to learn from, those go on that may become the best, see forecasts;
      unless the search is short, the first ones all run to their end.
    - hyperband: Li et al. 2018, arXiv:1603.06560, asynchronous: three brackets of asha, of which two spare trials that
      start slowly.
    - pbt: see population; Tune runs each stage to its end.
    - median: Golovin et al. 2017, "Google Vizier": ends a trial whose best is below the median of the others' means.
    """
    halving: dict[str, Any] = {
        "time_attr": RUNG, "metric": SCORE, "mode": "max", "grace_period": 1, "max_t": MAX_RUNG,
        "reduction_factor": REDUCTION, "stop_last_trials": False,
    }  # fmt: skip
    if name == "asha":
        return ForecastScheduler(forecasts, halves_first=is_short, **halving)
    if name == "hyperband":
        return ASHAScheduler(brackets=BRACKETS, **halving)
    if name == "median":
        return MedianStoppingRule(
            time_attr=RUNG, metric=SCORE, mode="max", grace_period=MEDIAN_GRACE, min_samples_required=MEDIAN_TRIALS,
            # else a trial is paused, which saves it, whenever another one waits for room
            min_time_slice=math.inf,  # type: ignore[arg-type]  # any number will do
        )  # fmt: skip
    return FIFOScheduler()  # type: ignore[no-untyped-call]  # Tune leaves some of its methods untyped
