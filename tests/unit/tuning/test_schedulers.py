"""What ends trials early."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from training.spec import FloatRange
from training.spec.tune import Scheduler
from training.tuning.actor import OUTCOME, RUNG, SCORE
from training.tuning.controller import _in_words
from training.tuning.forecasts import Forecasts
from training.tuning.objective import Goal
from training.tuning.schedulers import make_scheduler
from training.tuning.space import Space
from training.tuning.work import Progress


class Fit:
    """A trial, as far as schedulers look at it."""

    config: dict[str, Any]

    def __init__(self) -> None:
        self.config = {"config": {"learning_rate": 0.1}}
        self.trial_id = "one"


@pytest.mark.parametrize("name", ["none", "asha", "hyperband", "median"])
def test_no_trial_is_paused_because_another_one_waits_for_room(name: Scheduler) -> None:
    space = Space({"learning_rate": FloatRange(type="float", low=0.01, high=1.0, log=True)}, {"learning_rate": 0.1})
    scheduler: Any = make_scheduler(name, Forecasts(space, Goal(("roc_auc",))), is_short=True)
    controller = SimpleNamespace(get_live_trials=lambda: [SimpleNamespace(status=Trial.PENDING)])
    trial = Fit()
    scheduler.on_trial_add(controller, trial)
    for milestone in range(1, 9):
        result = {
            RUNG: milestone,
            SCORE: 0.5 + milestone / 100,
            OUTCOME: Progress([(milestone, 0.5)], "loss", milestone),
        }
        assert scheduler.on_trial_result(controller, trial, result) == TrialScheduler.CONTINUE


def test_why_a_process_ended_is_told_without_its_traceback() -> None:
    raised = RayTaskError("save", "Traceback (most recent call last):\n  ^^^^", NotImplementedError("saves nothing"))
    assert _in_words(raised) == "NotImplementedError: saves nothing"
    assert "exit code 7" in _in_words(RayActorError(error_msg="It died: exit code 7. See the logs."))
