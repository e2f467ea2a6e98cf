"""What trials are forecast to come to, from those that ran to their end."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training.result import TrialRow
from training.spec import FloatRange
from training.tuning.actor import OUTCOME, RUNG, SCORE
from training.tuning.forecasts import WHOLE_TRIALS, Forecasts
from training.tuning.ledger import FORECAST, Ledger
from training.tuning.objective import Constraint, Goal
from training.tuning.proposers import OptunaProposer
from training.tuning.schedulers import make_scheduler
from training.tuning.space import Space
from training.tuning.work import Progress

ROUNDS = 100
GOAL = Goal(("roc_auc",))
SPACE = Space({"learning_rate": FloatRange(type="float", low=0.01, high=1.0, log=True)}, {"learning_rate": 0.1})
LOSS = "validation/log_loss"
Curve = list[tuple[int, float]]


def curve_of(rate: float, until: int = ROUNDS) -> Curve:
    """A small rate falls slowly and a great one at once, and the one in the middle falls furthest."""
    return [(step, 0.7 - _height(rate) * (1.0 - math.exp(-rate * step))) for step in range(1, until + 1, 3)]


def _height(rate: float) -> float:
    return 0.3 - 0.05 * abs(math.log10(rate / 0.1))


def row(number: int, rate: float, status: str = "COMPLETE", **values: float) -> TrialRow:
    found = values or {"roc_auc": 0.5 + _height(rate)}
    return TrialRow(
        number=number, status=status, origin="search", params={"learning_rate": rate}, values=found,
        curve=curve_of(rate), curve_metric=LOSS,
    )  # fmt: skip


def learnt(goal: Goal = GOAL, count: int = 16) -> Forecasts:
    forecasts = Forecasts(SPACE, goal)
    for number, rate in enumerate(np.geomspace(0.011, 0.9, count)):
        forecasts.learn(row(number, float(rate)))
    return forecasts


def test_a_forecast_knows_that_a_slow_rate_comes_further_than_it_looks() -> None:
    forecasts = learnt()
    slow, fast = curve_of(0.1, until=10), curve_of(0.8, until=10)
    assert slow[-1][1] > fast[-1][1]  # after ten rounds the fast one leads

    found = {rate: forecasts.of({"learning_rate": rate}, curve_of(rate, 10), LOSS) for rate in (0.1, 0.8)}
    assert found[0.1].gain > found[0.8].gain
    for rate, forecast in found.items():
        assert forecast.gain == pytest.approx(0.5 + _height(rate), abs=0.01)


def test_the_chance_to_be_the_best_is_small_for_a_trial_that_will_be_worse() -> None:
    forecasts = learnt()
    assert forecasts.chance({"learning_rate": 0.8}, curve_of(0.8, 16), LOSS) < 0.01
    assert forecasts.chance({"learning_rate": 0.1}, curve_of(0.1, 16), LOSS) > 0.3


@pytest.mark.parametrize("goal", [Goal(("log_loss",)), Goal(("roc_auc",))], ids=["less is better", "more is better"])
def test_an_objective_is_forecast_in_its_own_direction(goal: Goal) -> None:
    ledger = Ledger(goal, Forecasts(SPACE, goal))
    for number, rate in enumerate(np.geomspace(0.011, 0.9, 16)):
        value = _height(float(rate)) if goal.first == "roc_auc" else 1.0 - _height(float(rate))
        ledger.forecasts.learn(row(number, float(rate), **{goal.first: value}))
    ledger.begin(16, {"learning_rate": 0.1}, "search")

    stopped = ledger.end(16, Progress(curve_of(0.1, 16), LOSS, 1))
    wanted = 0.3 if goal.first == "roc_auc" else 0.7
    assert stopped.facts[FORECAST] == pytest.approx(wanted, abs=0.01)
    assert stopped.status == "STOPPED"


def test_nothing_is_forecast_from_a_few_trials_or_from_what_is_no_number() -> None:
    few = learnt(count=WHOLE_TRIALS - 1)
    few.learn(row(90, 0.1, "STOPPED"))
    few.learn(row(91, 0.1, roc_auc=math.nan))
    few.learn(row(92, 0.1).model_copy(update={"curve": [(1, math.nan)]}))
    few.learn(row(93, 0.1).model_copy(update={"curve": [], "curve_metric": None}))
    assert few.of({"learning_rate": 0.1}, curve_of(0.1, 16), LOSS) is None
    few.learn(row(94, 0.1))
    assert few.of({"learning_rate": 0.1}, curve_of(0.1, 16), LOSS) is not None
    assert few.of({"learning_rate": 0.1}, [(16, math.nan)], LOSS) is None
    assert few.of({"learning_rate": 0.1}, [], None) is None


def test_the_best_is_one_that_keeps_the_constraints() -> None:
    goal = Goal(("roc_auc",), (Constraint.parse("ece <= 0.05"),))
    forecasts = Forecasts(SPACE, goal)
    rates = [float(rate) for rate in np.geomspace(0.011, 0.9, 16)]
    for number, rate in enumerate(rates):
        forecasts.learn(row(number, rate, roc_auc=0.5 + _height(rate), ece=0.1))
    asked = {"learning_rate": 0.5}, curve_of(0.5, 16), LOSS
    assert forecasts.chance(*asked) is None  # none keeps them, so that any may become the best

    forecasts.learn(row(20, 0.012, ece=0.01, roc_auc=0.5 + _height(0.012)))
    assert forecasts.chance(*asked) > 0.9


def trial(rate: float) -> Any:
    return SimpleNamespace(trial_id=str(rate), config={"config": {"learning_rate": rate}})


def verdict(scheduler: Any, rate: float, milestone: int = 16) -> str:
    curve = curve_of(rate, milestone)
    result = {RUNG: 1, SCORE: -curve[-1][1], OUTCOME: Progress(curve, LOSS, 1)}
    scheduler.on_trial_add(None, trial(rate))
    return str(scheduler.on_trial_result(None, trial(rate), result))


def test_asha_ends_what_is_forecast_to_fall_short_and_not_what_is_only_behind() -> None:
    scheduler = make_scheduler("asha", learnt(), is_short=False)
    assert [verdict(scheduler, rate) for rate in (0.8, 0.05, 0.1, 0.012)] == ["STOP", "STOP", "CONTINUE", "STOP"]


@pytest.mark.parametrize(("is_short", "last"), [(False, "CONTINUE"), (True, "STOP")])
def test_the_first_trials_of_a_long_search_run_to_their_end_and_those_of_a_short_one_are_halved(
    is_short: bool,
    last: str,
) -> None:
    scheduler = make_scheduler("asha", Forecasts(SPACE, GOAL), is_short=is_short)
    assert [verdict(scheduler, rate) for rate in (0.8, 0.7, 0.012)] == ["CONTINUE", "CONTINUE", last]


@pytest.mark.parametrize("is_resumed", [False, True])
def test_the_sampler_learns_what_an_ended_trial_would_have_come_to(is_resumed: bool) -> None:
    proposer = OptunaProposer("tpe", SPACE, GOAL, seed=0)
    number = 7
    params = {"learning_rate": 0.5} if is_resumed else proposer.propose(number)
    stopped = row(number, 0.5, "STOPPED").model_copy(update={"facts": {FORECAST: 0.77}, "params": params, "values": {}})

    proposer.learn(stopped)
    assert proposer._study.best_value == 0.77
    assert proposer._study.best_params == params
