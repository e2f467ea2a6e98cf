"""Which configuration to try next, by HyperOpt."""

from __future__ import annotations

import math
from typing import Any

from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, hp, tpe
from hyperopt.base import Domain

from training.result import TrialRow
from training.spec import Choice, IntRange, ParameterSpec
from training.tuning.objective import Goal
from training.tuning.space import Config, Space, level_count

INFEASIBLE = 1e6
"""Added to the loss of a trial that breaks a constraint, beside by how much it does."""


class HyperOptProposer:
    """The tree of Parzen estimators as its authors wrote it: each parameter by itself, in contrast to Optuna's.

    Bergstra, Bardenet, Bengio, Kegl 2011, "Algorithms for hyper-parameter optimization". One objective; a trial that
    was ended early is not learnt from.
    """

    def __init__(self, space: Space, goal: Goal, seed: int) -> None:
        self._space, self._goal, self._seed = space, goal, seed
        dimensions = {name: _dimension(name, parameter) for name, parameter in space.parameters.items()}
        self._domain = Domain(lambda _: 0.0, dimensions)
        self._trials = Trials()
        self._asked: dict[int, Any] = {}

    def propose(self, number: int) -> Config | None:
        """What the estimator suggests."""
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        [document] = tpe.suggest(ids, self._domain, self._trials, seed=self._seed + number)
        self._asked[number] = document
        values = {name: value[0] for name, value in document["misc"]["vals"].items()}
        return self._space.draw(lambda name, parameter: _value(parameter, values[name]))

    def learn(self, row: TrialRow) -> None:
        """Tells the estimator; a trial that it did not suggest is told as far as it lies in the space."""
        document = self._asked.pop(row.number, None)
        if document is None:
            document = self._foreign(row)
        if document is None:
            return
        document["state"] = JOB_STATE_DONE
        document["result"] = {"status": STATUS_FAIL}
        if row.status == "COMPLETE":
            violation = min(self._goal.violation(row.values), INFEASIBLE)
            loss = -self._goal.gains(row.values)[0] + (INFEASIBLE + violation if violation else 0.0)
            document["result"] = {"status": STATUS_OK, "loss": float(loss)}
        self._trials.insert_trial_docs([document])
        self._trials.refresh()

    def _foreign(self, row: TrialRow) -> Any:
        point = self._space.as_point(row.params)
        if point is None or set(point) != set(self._space.parameters):
            return None
        [number] = self._trials.new_trial_ids(1)
        raw = {name: _raw(self._space.parameters[name], value) for name, value in point.items()}
        misc = {
            "tid": number, "cmd": self._domain.cmd, "workdir": None,
            "idxs": {name: [number] for name in raw}, "vals": {name: [value] for name, value in raw.items()},
        }  # fmt: skip
        [document] = self._trials.new_trial_docs([number], [None], [{}], [misc])
        return document


def _dimension(name: str, parameter: ParameterSpec) -> Any:
    """The parameter in HyperOpt's terms; a choice, or a range with steps, by the place of its value."""
    if isinstance(parameter, Choice) or parameter.step is not None:
        return hp.randint(name, level_count(parameter))
    low, high = float(parameter.low), float(parameter.high)
    if isinstance(parameter, IntRange):
        low, high = low - 0.499, high + 0.499
        return (
            hp.qloguniform(name, math.log(low), math.log(high), 1) if parameter.log else hp.quniform(name, low, high, 1)
        )
    return hp.loguniform(name, math.log(low), math.log(high)) if parameter.log else hp.uniform(name, low, high)


def _value(parameter: ParameterSpec, raw: Any) -> Any:
    if isinstance(parameter, Choice):
        return parameter.values[int(raw)]
    value = parameter.low + int(raw) * parameter.step if parameter.step is not None else float(raw)
    held = min(max(value, parameter.low), parameter.high)
    return round(held) if isinstance(parameter, IntRange) else float(held)


def _raw(parameter: ParameterSpec, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return int(value)
    if parameter.step is not None:
        return round((value - parameter.low) / parameter.step)
    return float(value)
